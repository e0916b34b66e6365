"""Triangle multiplication and transition of factorised pairs, in linear memory."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from foldwright.geometry.vectors import at_least_float32
from foldwright.nn.linear import Linear
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.rank_products import apply_ranks, contract_residues
from foldwright.nn.residue_chunks import residues_per_chunk, sum_over_residues
from foldwright.nn.triangle import TriangleDirection

_INNER_OUTER = {"outgoing": ("right", "left"), "incoming": ("left", "right")}


def multiply_triangles(
    a: FactorizedPair, b: FactorizedPair, *, direction: TriangleDirection
) -> FactorizedPair:
    """Sum over the third corner of every triangle, exactly, without any pair tensor.

    Outgoing: sum_k a_ik b_jk; incoming: sum_k a_ki b_kj. With a_ik = sum_r f_ir g_kr and
    b_jk = sum_s p_js q_ks the sum over k is sum_s (sum_r f_ir G_rs) p_js, where
    G_rs = sum_k g_kr q_ks, channel by channel: the rank is that of `b`. O(n r^2 c) work.
    """
    if direction == "incoming":
        a, b = FactorizedPair(a.right, a.left), FactorizedPair(b.right, b.left)
    inner = contract_residues(a.right, b.right)
    return FactorizedPair(apply_ranks(a.left, inner), b.left)


class FactorizedTriangleMultiplication(nn.Module):
    """Gated triangle multiplication on factors (after Jumper et al. 2021, algorithms 11, 12).

    Projections, gates and norms act on each factor, the contraction is exact. That is not the dense
    block applied to the product of the factors, whose gates are nonlinear in it: the two blocks are
    different models.
    """

    def __init__(self, c_z: int, c_hidden: int, *, direction: TriangleDirection) -> None:
        super().__init__()
        # the sum over k takes the factors of one side, residues i and j have those of the other
        self._inner, self._outer = _INNER_OUTER[direction]
        self.layer_norm_in = _both(nn.LayerNorm(c_z), nn.LayerNorm(c_z))
        self.linear_p = _both(Linear(c_z, 2 * c_hidden), Linear(c_z, 2 * c_hidden))
        self.linear_g = _both(
            Linear(c_z, 2 * c_hidden, init="gating"), Linear(c_z, 2 * c_hidden, init="gating")
        )
        self.layer_norm_out = _both(nn.LayerNorm(c_hidden), nn.LayerNorm(c_hidden))
        self.linear_gate = _both(Linear(c_z, c_z, init="gating"), Linear(c_z, c_z, init="gating"))
        self.linear_z = _both(
            Linear(c_hidden, c_z, init="final"), Linear(c_hidden, c_z, init="final")
        )

    def forward(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> FactorizedPair:
        """Compute the update of both factors; only real residues enter the sum."""
        return self.update(z, self.contract(z, mask))

    def contract(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b r r c"]:
        """Sum over the third corner: the small matrix G of `multiply_triangles`, per channel.

        All that a residue's update needs to know of the other residues.
        """
        factor = getattr(z, self._inner)
        rows = residues_per_chunk(factor.shape[0] * factor.shape[2])
        return sum_over_residues(self._contract, (factor, mask), rows=rows)

    def update(self, z: FactorizedPair, inner: Float[Tensor, "b r r c"]) -> FactorizedPair:
        """Compute the update of some residues' factors, given the sum over all residues."""
        normed = {side: self.layer_norm_in[side](getattr(z, side)) for side in ("left", "right")}
        gated = functional.glu(self._projected(self._outer, normed[self._outer]))
        a, right = gated.chunk(2, dim=-1)
        left = apply_ranks(a, inner.to(a.dtype))
        return FactorizedPair(
            self._out("left", left, normed["left"]), self._out("right", right, normed["right"])
        )

    def _contract(self, factor: Tensor, mask: Tensor) -> Tensor:
        projected = self._projected(self._inner, self.layer_norm_in[self._inner](factor))
        # in at least float32: over a long chain the sum has many terms
        (gated,) = at_least_float32(functional.glu(projected) * mask[..., None, None])
        return contract_residues(*gated.chunk(2, dim=-1))

    def _projected(self, side: str, normed: Tensor) -> Tensor:
        """Projections and the logits of their gates, in one product."""
        p, g = self.linear_p[side], self.linear_g[side]
        assert isinstance(p, nn.Linear)
        assert isinstance(g, nn.Linear)
        weight, bias = torch.cat([p.weight, g.weight]), torch.cat([p.bias, g.bias])
        return functional.linear(normed, weight, bias)

    def _out(self, side: str, product: Tensor, normed: Tensor) -> Tensor:
        gate = torch.sigmoid(self.linear_gate[side](normed))
        update: Tensor = self.linear_z[side](self.layer_norm_out[side](product)) * gate
        return update


class FactorTransition(nn.Module):
    """Layer norm, expansion, ReLU, contraction on every vector of both factors."""

    def __init__(self, c_z: int, expansion: int) -> None:
        super().__init__()
        self.left = ChannelTransition(c_z, expansion)
        self.right = ChannelTransition(c_z, expansion)

    def forward(self, z: FactorizedPair) -> FactorizedPair:
        """Compute the update of the factors."""
        return FactorizedPair(self.left(z.left), self.right(z.right))


class ChannelTransition(nn.Module):
    """Layer norm, expansion, ReLU, contraction on every vector; returns the update."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)
        self.linear_1 = Linear(channels, expansion * channels, init="relu")
        self.linear_2 = Linear(expansion * channels, channels, init="final")

    def forward(self, x: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """Compute the update of every vector."""
        update: Tensor = self.linear_2(torch.relu(self.linear_1(self.layer_norm(x))))
        return update


def _both(left: nn.Module, right: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"left": left, "right": right})
