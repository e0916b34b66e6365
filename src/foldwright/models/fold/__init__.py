"""A network that predicts structures of complexes from sequence (Abramson et al. 2024)."""

from foldwright.models.fold.arrays import inputs_from_arrays
from foldwright.models.fold.chain_scores import ChainScores, ranking_score
from foldwright.models.fold.compiled import compile_denoiser
from foldwright.models.fold.config import FoldConfig, FoldSamplerConfig
from foldwright.models.fold.plan import FoldPlan, peak_bytes, plan_memory
from foldwright.models.fold.predict import FoldPrediction, predict, seeded_fold_draws
from foldwright.models.fold.weights.load import convert_weights, inspect_weights, load_fold

__all__ = [
    "ChainScores",
    "FoldConfig",
    "FoldPlan",
    "FoldPrediction",
    "FoldSamplerConfig",
    "compile_denoiser",
    "convert_weights",
    "inputs_from_arrays",
    "inspect_weights",
    "load_fold",
    "peak_bytes",
    "plan_memory",
    "predict",
    "ranking_score",
    "seeded_fold_draws",
]
