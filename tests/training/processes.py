"""Runs in processes of their own, which tests may kill; forked, so that they start at once."""

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from foldwright.runtime.errors import FoldwrightError
from foldwright.training.config import FitConfig
from foldwright.training.loop import fit


def start_run(
    make_task: Callable[[], Any],
    config: FitConfig,
    out: Path,
    *,
    environment: Mapping[str, str] | None = None,
    answer: str = "answer.json",
) -> BaseProcess:
    """Train in another process; it writes how the run ended, or its error, to `out / answer`."""

    def run() -> None:
        os.environ.update(environment or {})
        try:
            result = fit(make_task(), config, out)
            text = json.dumps({"status": result.status, "step": result.step})
        except FoldwrightError as error:
            text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        out.mkdir(exist_ok=True)
        (out / answer).write_text(text)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process
