"""ESM-2 checkpoints through transformers, an optional package."""

from typing import Any

from foldwright.runtime.errors import FoldwrightError, InputError, Problem


def load_esm(checkpoint: str) -> Any:
    """Load the masked language model of an ESM-2 checkpoint: a name on the hub, or a folder.

    Raises:
        FoldwrightError: transformers is not installed.
        InputError: there is no such checkpoint here, and it cannot be downloaded.
    """
    try:
        from transformers import EsmForMaskedLM
    except ImportError as error:
        raise FoldwrightError(
            "encoder kind esm2 needs the package transformers, which is not installed; run "
            "pip install 'foldwright[plm]' or write kind: bundled"
        ) from error
    try:
        return EsmForMaskedLM.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        message = (
            f"cannot be loaded: {reason} Give a folder that holds the checkpoint, connect to the "
            "network once, or write kind: bundled"
        )
        raise InputError(Problem(f"ESM-2 checkpoint {checkpoint}", message)) from error
