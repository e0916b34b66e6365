"""ESM-2 as an encoder: frozen, with low-rank updates, or trained whole."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from foldwright.interop.esm import load_esm
from foldwright.models.peptide.config import EncoderConfig
from foldwright.models.peptide.inputs import MASK_TOKEN, PAD_TOKEN
from foldwright.runtime.errors import InputError, Problem
from foldwright.sequence.residues import RESIDUES

_ESM_ORDER = "LAGVSERTIDPKQNFYMHWC"
"""Residues in the order of ESM-2's alphabet, in which they begin at 4."""

_FIRST_RESIDUE, _CLS, _PAD, _EOS, _MASK, _ALPHABET_SIZE = 4, 0, 1, 2, 32, 33
_ADAPTED = ("query", "key", "value")
"""Names of the linear maps of ESM-2's attention in transformers."""


class Esm2Encoder(nn.Module):
    """Last hidden states of an ESM-2 checkpoint (after its final layer norm) by residue."""

    esm_tokens: Int64[Tensor, " t"]

    def __init__(self, config: EncoderConfig) -> None:
        """Load the checkpoint, and add low-rank maps where `adaptation` asks for them.

        Raises:
            InputError: the checkpoint is absent, of another alphabet, or has no map to adapt.
            FoldwrightError: transformers is not installed.
        """
        super().__init__()
        self.language_model: Any = load_esm(config.checkpoint)
        found = self.language_model.config.vocab_size
        if found != _ALPHABET_SIZE:
            message = f"has an alphabet of {found} tokens, ESM-2 has {_ALPHABET_SIZE}"
            raise InputError(Problem(f"checkpoint {config.checkpoint}", message))
        tokens = torch.zeros(len(RESIDUES) + 2, dtype=torch.int64)
        for number, residue in enumerate(RESIDUES):
            tokens[number] = _FIRST_RESIDUE + _ESM_ORDER.index(residue)
        tokens[MASK_TOKEN], tokens[PAD_TOKEN] = _MASK, _PAD
        self.register_buffer("esm_tokens", tokens, persistent=False)
        if config.adaptation == "lora":
            self.requires_grad_(False)
            adapt_attention(self.language_model, config.lora_rank, config.lora_scale)

    @property
    def latent_dim(self) -> int:
        """Hidden size of the checkpoint."""
        return int(self.language_model.config.hidden_size)

    def forward(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """Return hidden states by residue, without those of the tokens that begin and end."""
        ids, attended = self._framed(tokens, mask)
        states: Tensor = self.language_model.esm(ids, attention_mask=attended).last_hidden_state
        return states[:, 1:-1]

    def predict(
        self, tokens: Int64[Tensor, "b n"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n r"]:
        """Return logits of the 20 residues, in our order."""
        logits: Tensor = self.language_model.lm_head(self(tokens, mask))
        return logits[..., self.esm_tokens[: len(RESIDUES)]]

    def _framed(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Translate tokens and put the marks of beginning and end around each peptide."""
        inner = self.esm_tokens[tokens].masked_fill(~mask, _PAD)
        start = torch.full_like(inner[:, :1], _CLS)
        ids = torch.cat([start, inner, torch.full_like(start, _PAD)], dim=1)
        ids.scatter_(1, mask.sum(1, keepdim=True) + 1, _EOS)
        return ids, (ids != _PAD).long()


class LowRankLinear(nn.Module):
    """A frozen linear map plus a trained one of low rank, zero at first (Hu et al. 2021, eq. 3)."""

    def __init__(self, base: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = scale / rank

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        """Apply both maps."""
        out: Tensor = self.base(x) + self.scale * (x @ self.down.T @ self.up.T)
        return out


def adapt_attention(module: nn.Module, rank: int, scale: float) -> int:
    """Give every query, key and value map a low-rank update; return how many there were.

    Raises:
        InputError: there is none.
    """
    places = [
        (parent, name)
        for parent in module.modules()
        for name, child in parent.named_children()
        if name in _ADAPTED and isinstance(child, nn.Linear)
    ]
    if not places:
        message = f"no linear map named {', '.join(_ADAPTED)} in the encoder; write frozen"
        raise InputError(Problem("model.encoder.adaptation", message))
    for parent, name in places:
        base = getattr(parent, name)
        setattr(parent, name, LowRankLinear(base, rank, scale))
    return len(places)
