"""A network that predicts structures of complexes from sequence (Abramson et al. 2024)."""

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.config import FoldConfig, FoldSamplerConfig
from foldwright.models.fold.predict import FoldPrediction, predict, seeded_fold_draws
from foldwright.models.fold.weights.load import convert_weights, inspect_weights, load_fold

__all__ = [
    "FoldConfig",
    "FoldPrediction",
    "FoldSamplerConfig",
    "convert_weights",
    "inputs_from_arrays",
    "inspect_weights",
    "load_fold",
    "predict",
    "seeded_fold_draws",
]
