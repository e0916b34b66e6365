"""The transition of a pair layer, by the representation and the setting."""

from jaxtyping import Bool
from torch import Tensor, nn

from foldwright.models.backbone.config import GenieConfig
from foldwright.nn.bottleneck_transition import BottleneckTransition
from foldwright.nn.depthwise_transition import DepthwiseTransition
from foldwright.nn.pair import FactorizedPair
from foldwright.nn.pair_triangle import ChannelTransition, FactorTransition
from foldwright.nn.transition import PairTransition


def dense_transition(config: GenieConfig) -> nn.Module:
    """Build the transition of dense pairs, called with the pairs and their mask."""
    if config.transition == "bottleneck":
        return BottleneckTransition(config.c_p)
    if config.transition == "depthwise":
        return DepthwiseTransition(config.c_p, axes=2)
    return PairTransition(config.c_p, config.pair_expansion)


def factor_transition(config: GenieConfig) -> nn.Module:
    """Build the transition of factors; all but `depthwise` treat residues one by one."""
    if config.transition == "bottleneck":
        return FactorBottleneck(config.c_p)
    if config.transition == "depthwise":
        return FactorConvolution(config.c_p)
    return FactorTransition(config.c_p, config.pair_expansion)


def vector_transition(config: GenieConfig) -> nn.Module:
    """Build the transition of vectors that have no place on a grid: those of sparse pairs."""
    if config.transition == "bottleneck":
        return BottleneckTransition(config.c_p)
    return ChannelTransition(config.c_p, config.pair_expansion)


class FactorBottleneck(nn.Module):
    """A bottleneck on every vector of both factors."""

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.left = BottleneckTransition(c_z)
        self.right = BottleneckTransition(c_z)

    def forward(self, z: FactorizedPair) -> FactorizedPair:
        """Compute the update of the factors."""
        return FactorizedPair(self.left(z.left), self.right(z.right))


class FactorConvolution(nn.Module):
    """A depthwise-separable convolution of both factors along the chain."""

    def __init__(self, c_z: int) -> None:
        super().__init__()
        self.left = DepthwiseTransition(c_z, axes=1)
        self.right = DepthwiseTransition(c_z, axes=1)

    def forward(self, z: FactorizedPair, mask: Bool[Tensor, "b n"]) -> FactorizedPair:
        """Compute the masked update of the factors; ranks do not meet."""
        return FactorizedPair(
            self._along_chain(self.left, z.left, mask),
            self._along_chain(self.right, z.right, mask),
        )

    def _along_chain(self, block: nn.Module, factor: Tensor, mask: Tensor) -> Tensor:
        b, _, r, _ = factor.shape
        chains = factor.movedim(2, 1).flatten(0, 1)
        update: Tensor = block(chains, mask.repeat_interleave(r, dim=0))
        return update.unflatten(0, (b, r)).movedim(1, 2)
