"""The pair track: layers of one kind, some of them recomputed in the backward pass."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from foldwright.models.backbone.config import GenieConfig
from foldwright.models.backbone.dense_pairs import PairTransformLayer
from foldwright.models.backbone.linear_pairs import FactorizedTransformLayer, SparseTransformLayer
from foldwright.nn.pair import FactorizedPair, SparsePair

BackbonePairs = Float[Tensor, "b n n c_z"] | FactorizedPair | SparsePair
_LAYERS: dict[str, Callable[[GenieConfig], nn.Module]] = {
    "dense": PairTransformLayer,
    "factorized": FactorizedTransformLayer,
    "sparse": SparseTransformLayer,
}
_CHECKPOINT_ABOVE = 256


class PairTransformNet(nn.Module):
    """Stack of pair layers; the representation picks their kind."""

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        # layers of factors recompute their chunks themselves and keep little more than their input
        plain = config.checkpoint_pairs == "auto" and config.pair == "factorized"
        self.checkpoint_pairs = False if plain else config.checkpoint_pairs
        build = _LAYERS[config.pair]
        self.net = nn.ModuleList(build(config) for _ in range(config.num_pair_layers))

    def forward(self, z: BackbonePairs, mask: Bool[Tensor, "b n"]) -> BackbonePairs:
        """Transform the pair representation; it keeps its type, rank and neighbours."""
        for layer in self.net:
            if _recompute(self.checkpoint_pairs, mask.shape[1]):
                z = checkpoint(layer, z, mask, use_reentrant=False)
            else:
                z = layer(z, mask)
        return z


def _recompute(setting: bool | str, num_residues: int) -> bool:
    """Whether a pair layer is recomputed in the backward pass; `auto`: chains over 256 residues."""
    if not torch.is_grad_enabled():
        return False
    return num_residues > _CHECKPOINT_ABOVE if setting == "auto" else bool(setting)
