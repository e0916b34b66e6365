"""ESMFold through transformers, an optional package: structures of single peptides."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from foldwright.runtime.errors import FoldwrightError, InputError, Problem

_BACKBONE_ATOMS = 4
_CA_OF_37 = 1


class EsmFold:
    """A loaded ESMFold; called with a sequence it predicts its structure."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network.to(device).eval()

    @torch.no_grad()
    def __call__(
        self, sequence: str
    ) -> tuple[Float32[np.ndarray, "n 4 3"], Float32[np.ndarray, " n"]]:
        """Return N, CA, C, O in Å, and the pLDDT of CA from 0 to 100."""
        output = self._network.infer(sequence)
        backbone = output["positions"][-1][0, :, :_BACKBONE_ATOMS].float().cpu().numpy()
        plddt = 100.0 * output["plddt"][0, :, _CA_OF_37].float().cpu().numpy()
        return backbone, plddt


def load_esmfold(checkpoint: str, device: torch.device) -> EsmFold:
    """Load an ESMFold checkpoint: a name on the hub, or a folder.

    Raises:
        FoldwrightError: transformers is not installed.
        InputError: there is no such checkpoint here, and it cannot be downloaded.
    """
    try:
        from transformers import EsmForProteinFolding
    except ImportError as error:
        raise FoldwrightError(
            "predicting structures needs the package transformers, which is not installed; run "
            "pip install 'foldwright[plm]'"
        ) from error
    try:
        return EsmFold(EsmForProteinFolding.from_pretrained(checkpoint), device)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        message = f"cannot be loaded: {reason} Give a folder that holds the checkpoint"
        raise InputError(Problem(f"ESMFold checkpoint {checkpoint}", message)) from error
