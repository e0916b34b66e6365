"""Builds our network from the settings stored in the Genie reference files."""

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldwright.models.backbone.config import GenieConfig

_FIELDS = {
    "c_s": "c_s",
    "c_p": "c_p",
    "c_pos_emb": "c_position",
    "c_timestep_emb": "c_timestep",
    "relpos_k": "relative_position_clip",
    "n_pair_transform_layer": "num_pair_layers",
    "include_mul_update": "triangle_multiplication",
    "include_tri_att": "triangle_attention",
    "c_hidden_mul": "c_triangle_multiplication",
    "c_hidden_tri_att": "c_triangle_attention",
    "n_head_tri": "num_triangle_heads",
    "tri_dropout": "pair_dropout",
    "pair_transition_n": "pair_expansion",
    "n_structure_layer": "num_structure_layers",
    "n_structure_block": "num_structure_blocks",
    "c_hidden_ipa": "c_ipa",
    "n_head_ipa": "num_ipa_heads",
    "n_qk_point": "num_qk_points",
    "n_v_point": "num_v_points",
    "ipa_dropout": "ipa_dropout",
    "n_structure_transition_layer": "num_transition_layers",
    "structure_transition_dropout": "transition_dropout",
}


def genie_config(settings: dict[str, Any], *, max_length: int = 24) -> GenieConfig:
    """Translate the stored settings; the encodings of the files use their padded length."""
    values = {ours: settings[theirs] for theirs, ours in _FIELDS.items() if theirs in settings}
    return GenieConfig(max_length=max_length, **values)


def fill_procedurally(module: nn.Module, seed: int, scale: dict[str, float]) -> None:
    """Give every parameter the values of the recipe in section 7 of the golden README."""
    for name, parameter in module.named_parameters():
        x = 2 * _uniform(name, seed, parameter.numel()) - 1
        if parameter.dim() > 1:
            x = x * np.sqrt(3 / parameter.shape[-1])
        else:
            x = 1 + 0.2 * x if name.endswith(".weight") else 0.3 * x
        values = x.astype(np.float32) * np.float32(scale.get(name, 1.0))
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values).view(parameter.shape))


def _uniform(name: str, seed: int, count: int) -> np.ndarray:
    key = _mix(np.array([(zlib.crc32(name.encode()) + seed * 2**32) % 2**64], dtype=np.uint64))
    with np.errstate(over="ignore"):
        bits = _mix(key + np.arange(count, dtype=np.uint64))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(u: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        u = u + np.uint64(0x9E3779B97F4A7C15)
        u = (u ^ (u >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        u = (u ^ (u >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return u ^ (u >> np.uint64(31))


def grad(output: dict[str, Tensor], cotangents: dict[str, Tensor], wrt: Tensor) -> Tensor:
    """Gradient of the scalar that the reference files differentiate."""
    scalar = torch.stack([(cotangents[k] * output[k]).sum() for k in cotangents]).sum()
    return torch.autograd.grad(scalar, wrt, retain_graph=True)[0]
