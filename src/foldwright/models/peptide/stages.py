"""Presets of the stages in which a peptide model is trained."""

from collections.abc import Mapping
from typing import Any, Literal

Stage = Literal["encoder", 1, 2, 3]
"""The encoder's own training, then diffusion: sequence only, with structures, encoder unfrozen."""

_DIFFUSION_TRAINING: dict[str, Any] = {
    "optimiser": {"learning_rate": 1e-4, "weight_decay": 1e-5},
    "schedule": {"kind": "cosine", "floor": 0.01},
    "gradient_clip": 1.0,
    "accumulation": 2,
    "checkpoint": {"every_epochs": 20},
    "max_steps": 100_000,
}

_PRESETS: dict[Stage, dict[str, Any]] = {
    "encoder": {
        "training": {
            "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.01, "betas": [0.9, 0.98]},
            "schedule": {"kind": "cosine", "warmup_steps": 100, "floor": 0.02},
        },
    },
    1: {"peptides": {"other_share": 0.15}, "training": _DIFFUSION_TRAINING},
    2: {
        "peptides": {"other_share": 0.15, "structures": True},
        "training": _DIFFUSION_TRAINING,
    },
    3: {
        "peptides": {"other_share": 0.15, "structures": True},
        "model": {"encoder": {"adaptation": "unfrozen"}},
        "training": _DIFFUSION_TRAINING
        | {"optimiser": {"learning_rate": 5e-5, "weight_decay": 1e-5}},
    },
}


def fill_from_stage(values: Mapping[str, Any], default: Stage) -> dict[str, Any]:
    """Return settings with those of their stage where nothing is written.

    An unknown stage is left for the settings' own check to name.
    """
    preset = _PRESETS.get(values.get("stage", default), {})
    return _merge(preset, values)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(inner, value)
        else:
            merged[key] = value
    return merged
