"""In which number format the parts of the network compute."""

from typing import Literal

import torch
from torch import nn

from foldwright.models.fold.network.fold_network import FoldNetwork

FoldPrecision = Literal["float32", "bfloat16-trunk"]


def set_precision(network: FoldNetwork, precision: FoldPrecision) -> None:
    """Choose the format of the trunk and of the pairformer of the scores.

    `bfloat16-trunk` is the original's policy: their linear maps and activations are bfloat16, their
    norms and softmax statistics single precision; input encoder, denoiser and the logits of all
    scores stay in single precision. The released parameters of these parts are stored in bfloat16,
    so that only activations are rounded.
    """
    dtype = torch.bfloat16 if precision == "bfloat16-trunk" else torch.float32
    scores = network.confidence
    parts = [network.trunk, scores.blocks, scores.rows_target, scores.columns_target]
    parts += [scores.distances] if scores.lengths is None else [scores.distances, scores.lengths]
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Linear):
                module.to(dtype)
