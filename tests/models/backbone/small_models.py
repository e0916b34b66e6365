"""Small backbone models with weights that are nowhere zero, and chains for them."""

from typing import Any

import torch
from torch import Tensor

from foldwright.models.backbone.config import DiffusionConfig, GenieConfig
from foldwright.models.backbone.model import BackboneModel
from tests.models.backbone.genie_reference import fill_procedurally

SIZES: dict[str, Any] = {
    "max_length": 32,
    "c_s": 12,
    "c_p": 10,
    "c_position": 8,
    "c_timestep": 6,
    "relative_position_clip": 4,
    "num_pair_layers": 1,
    "triangle_attention": True,
    "c_triangle_multiplication": 6,
    "c_triangle_attention": 3,
    "num_triangle_heads": 2,
    "pair_expansion": 2,
    "num_structure_layers": 2,
    "c_ipa": 4,
    "num_ipa_heads": 2,
    "num_qk_points": 2,
    "num_v_points": 2,
}


def small_model(
    *,
    diffusion: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float64,
    **genie: Any,
) -> BackboneModel:
    """A model in evaluation mode whose every weight matters."""
    settings = DiffusionConfig(**{"num_steps": 100} | (diffusion or {}))
    model = BackboneModel(GenieConfig(**SIZES | genie), settings)
    fill_procedurally(model.network, 3, {})
    return model.to(dtype).eval()


def walks(lengths: list[int], *, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Random chains with steps of 3.8 Å."""
    generator = torch.Generator().manual_seed(seed)
    steps = [torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in lengths]
    return [(3.8 * s / s.norm(dim=-1, keepdim=True)).cumsum(0).to(dtype) for s in steps]


def helix(length: int, *, handed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """An alpha helix of C-alpha atoms, right-handed, or with -1 its mirror image."""
    index = torch.arange(length, dtype=torch.float64)
    turn = torch.deg2rad(100 * index) * handed
    return torch.stack([2.3 * turn.cos(), 2.3 * turn.sin(), 1.5 * index], dim=-1).to(dtype)
