"""The Genie denoiser: from noised C-alpha frames to denoised frames."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from foldwright.geometry.quaternion import quaternion_to_matrix
from foldwright.geometry.rigid import Rigid
from foldwright.geometry.vectors import without_autocast
from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.features import PairFeatureNet, SingleFeatureNet
from foldwright.models.backbone.linear_pairs import FactorizedPairFeatureNet, SparsePairFeatureNet
from foldwright.models.backbone.pair_stack import BackbonePairs, PairTransformNet
from foldwright.nn.hyper_connections import (
    HyperConnection,
    contract_streams,
    expand_streams,
    read_streams,
    stream_terms,
    write_streams,
)
from foldwright.nn.invariant_point_attention import InvariantPointAttention
from foldwright.nn.layer_sharing import layer_order
from foldwright.nn.linear import Linear
from foldwright.nn.pair_point_attention import PairPointAttention
from foldwright.nn.transition import StructureTransition


class GenieDenoiser(nn.Module):
    """Lin & AlQuraishi 2023: features, pair transform, structure network.

    Parameter names are those of the published checkpoints. The noise that Genie predicts is the
    input position minus the output position of each residue.
    """

    def __init__(self, config: GenieConfig, *, num_timesteps: int) -> None:
        super().__init__()
        self.config = config
        self.single_feature_net = SingleFeatureNet(
            config.c_s,
            c_position=config.c_position,
            c_timestep=config.c_timestep,
            num_timesteps=num_timesteps,
        )
        self.pair_feature_net = _pair_feature_net(config)
        self.pair_transform_net = PairTransformNet(config) if config.num_pair_layers else None
        self.structure_net = StructureNet(config)

    def forward(
        self,
        frames: Rigid,
        timestep: Int[Tensor, " b"],
        mask: Bool[Tensor, "b n"],
        *,
        previous: Float[Tensor, "b n 3"] | None = None,
        position_period: int | None = None,
        observed: list[Float[Tensor, "b terms"]] | None = None,
    ) -> Rigid:
        """Denoise one batch.

        Args:
            frames: frames of the noised chain, C-alpha positions in Å.
            timestep: 0 is the least noisy.
            mask: real residues.
            previous: clean estimate of an earlier pass, for networks with self-conditioning.
            position_period: N of the position encoding. The published networks were run with
                everything padded to the configured maximum, which is the default here, so that the
                result does not depend on padding; Genie itself takes the padded length.
            observed: gets the `stream_terms` of every layer that stands between residual streams.
        """
        period = self.config.max_length if position_period is None else position_period
        s = self.single_feature_net(timestep, mask, position_period=period)
        z = self.pair_feature_net(s, frames, mask, previous)
        if self.pair_transform_net is not None:
            z = self.pair_transform_net(z, mask, observed)
        out: Rigid = self.structure_net(s, z, frames, mask, observed)
        return out


def _pair_feature_net(config: GenieConfig) -> nn.Module:
    if config.pair == "factorized":
        return FactorizedPairFeatureNet(config)
    if config.pair == "sparse":
        return SparsePairFeatureNet(config)
    return PairFeatureNet(
        config.c_s,
        config.c_p,
        clip=config.relative_position_clip,
        template=config.template,
        self_conditioning=config.self_conditioning,
    )


class StructureNet(nn.Module):
    """Layers that move the frames, optionally passed through several times.

    Attention weighs squared distances, so its unit of length decides how far residues see at the
    start of training, and how large the first moves are.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.length_unit = config.length_unit
        order = layer_order(config.layer_sharing, config.num_structure_layers)
        self.net = nn.ModuleList(StructureLayer(config) for _ in range(max(order) + 1))
        self.order = order * config.num_structure_blocks
        self.num_streams = config.residual_streams
        if config.residual_streams > 1:
            # the last layer reads the mean of the streams, and nobody reads what it would write
            self.connections = nn.ModuleList(_connection(config) for _ in self.order[1:])

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        z: BackbonePairs,
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
        observed: list[Float[Tensor, "b terms"]] | None = None,
    ) -> Rigid:
        """Update the frames; the pair representation stays as it is."""
        frames = Rigid(frames.rots, frames.trans / self.length_unit)
        if self.num_streams > 1:
            frames = self._on_streams(s, z, frames, mask, observed)
        else:
            for index in self.order:
                s, frames = self.net[index](s, z, frames, mask)
        return Rigid(frames.rots, frames.trans * self.length_unit)

    def _on_streams(
        self,
        s: Tensor,
        z: BackbonePairs,
        frames: Rigid,
        mask: Tensor,
        observed: list[Tensor] | None,
    ) -> Rigid:
        streams = expand_streams(s, self.num_streams)
        for index, connection in zip(self.order, self.connections, strict=False):
            maps = connection(streams)
            h = read_streams(streams, maps)
            out, frames = self.net[index](h, z, frames, mask)
            written = write_streams(streams, out - h, maps)
            if observed is not None:
                observed.append(stream_terms(streams, h, out - h, written, mask))
            streams = written
        moved: Rigid = self.net[self.order[-1]](contract_streams(streams), z, frames, mask)[1]
        return moved


def _connection(config: GenieConfig) -> HyperConnection:
    return HyperConnection(
        config.c_s, config.residual_streams, iterations=config.sinkhorn_iterations
    )


class StructureLayer(nn.Module):
    """Point attention, transition and frame update (Jumper et al. 2021, algorithm 20)."""

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        # the dense layer is Genie's own, with its parameters
        attention = InvariantPointAttention if config.pair == "dense" else PairPointAttention
        self.ipa = attention(
            config.c_s,
            config.c_p,
            c_hidden=config.c_ipa,
            num_heads=config.num_ipa_heads,
            num_qk_points=config.num_qk_points,
            num_v_points=config.num_v_points,
        )
        self.ipa_dropout = nn.Dropout(config.ipa_dropout)
        self.ipa_layer_norm = nn.LayerNorm(config.c_s)
        self.transition = StructureTransition(
            config.c_s,
            num_layers=config.num_transition_layers,
            dropout=config.transition_dropout,
        )
        self.bb_update = BackboneUpdate(config.c_s)

    def forward(
        self,
        s: Float[Tensor, "b n c_s"],
        z: BackbonePairs,
        frames: Rigid,
        mask: Bool[Tensor, "b n"],
    ) -> tuple[Float[Tensor, "b n c_s"], Rigid]:
        """Return the new single representation and the frames moved in their own axes."""
        s = self.ipa_layer_norm(self.ipa_dropout(s + self.ipa(s, z, frames, mask)))
        s = self.transition(s)
        return s, frames.compose(self.bb_update(s))


class BackboneUpdate(nn.Module):
    """A rotation with a positive real part and a translation in Å (algorithm 23)."""

    def __init__(self, c_s: int) -> None:
        super().__init__()
        self.linear = Linear(c_s, 6, init="final")

    def forward(self, s: Float[Tensor, "b n c_s"]) -> Rigid:
        """Predict the transform in the local frame of each residue."""
        with without_autocast(s):
            vector, trans = self.linear(s.to(self.linear.weight.dtype)).split(3, dim=-1)
        quaternion = torch.cat([torch.ones_like(vector[..., :1]), vector], dim=-1)
        quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
        return Rigid(quaternion_to_matrix(quaternion), trans)
