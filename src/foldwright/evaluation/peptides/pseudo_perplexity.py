"""How unexpected each residue is to a masked language model that sees all the others."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from foldwright.runtime.progress import ProgressFactory, silent
from foldwright.sequence.residues import encode_sequence

MaskedModel = Callable[
    [Int64[Tensor, "b n"], Bool[Tensor, "b n"]],
    Float[Tensor, "b n 20"],
]
"""Gives logits of the 20 residues for tokens of one length without padding, and their mask."""

_ROWS_AT_ONCE = 512


@torch.inference_mode()
def pseudo_perplexities(
    sequences: Sequence[str],
    predict: MaskedModel,
    *,
    hidden_token: int,
    progress: ProgressFactory = silent,
) -> Float64[np.ndarray, " p"]:
    """Return the pseudo-perplexity of each peptide: 1 is certain, 20 is guessing.

    Every residue is hidden in turn, and the mean negative log-likelihood of the hidden ones is
    exponentiated (Salazar et al. 2020, equation 2). A peptide of n residues costs n rows.

    Args:
        sequences: of the 20 residues.
        predict: the model.
        hidden_token: the token it knows as a hidden residue.
        progress: counts peptides.
    """
    found = np.empty(len(sequences))
    with progress("pseudo-perplexity", len(sequences)) as bar:
        for length in sorted({len(one) for one in sequences}):
            places = [row for row, one in enumerate(sequences) if len(one) == length]
            per_call = max(1, _ROWS_AT_ONCE // length)
            for start in range(0, len(places), per_call):
                some = places[start : start + per_call]
                tokens = np.stack([encode_sequence(sequences[place]) for place in some])
                likelihoods = _hidden_likelihoods(torch.from_numpy(tokens), predict, hidden_token)
                found[some] = (-likelihoods.mean(dim=1)).exp().numpy()
                bar.advance(len(some))
    return found


def _hidden_likelihoods(
    tokens: Int64[Tensor, "b n"], predict: MaskedModel, hidden_token: int
) -> Float[Tensor, "b n"]:
    """Log-likelihood of each residue when it alone is hidden."""
    count, length = tokens.shape
    hide = torch.eye(length, dtype=torch.bool)
    rows = tokens[:, None, :].masked_fill(hide, hidden_token).reshape(-1, length)
    logits = predict(rows, torch.ones_like(rows, dtype=torch.bool))
    hidden = logits.reshape(count, length, length, -1)[:, hide]
    chances = hidden.double().log_softmax(-1)
    return chances.gather(-1, tokens[..., None])[..., 0]
