"""Frenet frames of a C-alpha trace."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_EPS = 1e-10


def frenet_frames(
    ca: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]
) -> Float[Tensor, "b n 3 3"]:
    """Build one frame per residue from the steps to its two neighbours along the chain.

    The columns are the unit tangent to the next residue, the binormal (previous tangent x next
    tangent) and binormal x tangent. That triple is **left-handed** (determinant -1), as in Genie
    (Lin & AlQuraishi 2023, section 3.1), whose weights need it. The first residue copies the
    second and the last real one the residue before it; padding, and chains of fewer than three
    residues, get the identity. Straight segments give a zero binormal and normal instead of a
    rotation. Chains are real residues first, padding after them.
    """
    num_batch, num_residues, _ = ca.shape
    identity = torch.eye(3, dtype=ca.dtype, device=ca.device)
    if num_residues < 3:
        return identity.expand(num_batch, num_residues, 3, 3).contiguous()
    tangent = _normalise(ca[:, 1:] - ca[:, :-1])
    before, after = tangent[:, :-1], tangent[:, 1:]
    binormal = _normalise(torch.linalg.cross(before, after, dim=-1))
    normal = torch.linalg.cross(binormal, after, dim=-1)
    interior = torch.stack([after, binormal, normal], dim=-1)
    index = _source_index(mask) - 1
    frames = torch.take_along_dim(interior, index[:, :, None, None], dim=1)
    framed = mask & (mask.sum(dim=1, keepdim=True) >= 3)
    return torch.where(framed[..., None, None], frames, identity)


def _source_index(mask: Bool[Tensor, "b n"]) -> Tensor:
    """Position whose frame each residue takes: its own, or the inner neighbour at the two ends."""
    position = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    last_inner = (mask.sum(dim=1, keepdim=True) - 2).clamp(min=1)
    return torch.minimum(position.clamp(min=1), last_inner)


def _normalise(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    return vectors / torch.sqrt(_EPS + vectors.square().sum(-1, keepdim=True))
