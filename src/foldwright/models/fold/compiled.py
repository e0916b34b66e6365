"""Optional compilation of the denoiser, kept on disk for the next process."""

import os
import shutil
from pathlib import Path

import torch

from foldwright.models.fold.network.diffusion_transformer import TokenBlock
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.runtime.errors import FoldwrightError


def compile_denoiser(network: FoldNetwork, cache: Path) -> None:
    """Compile the token blocks of the denoiser, in which a prediction spends most of its time.

    Compiled programs are kept under `cache`, apart for every version of torch: another process that
    names the same folder loads them. One program serves all blocks and all numbers of tokens.
    Results equal those without compilation to 1e-5 of the largest coordinate and call, not to the
    bit. Nothing else in the network needs this or changes.

    Raises:
        FoldwrightError: this machine has no compiler for its processor.
    """
    on_cpu = next(network.diffusion.parameters()).device.type == "cpu"
    if on_cpu and not any(shutil.which(name) for name in ("g++", "clang++")):
        raise FoldwrightError(
            "compiling for this processor needs g++ or clang++, found neither: install one or "
            "leave compilation off"
        )
    folder = cache / f"torch-{torch.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    for module in network.diffusion.transformer.modules():
        if isinstance(module, TokenBlock):
            module.attention.compile(dynamic=True)
            module.transition.compile(dynamic=True)
