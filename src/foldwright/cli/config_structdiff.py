"""StructDiff's settings and script calls as ours."""

import math
import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE
from foldwright.cli.output import emit
from foldwright.cli.peptide_experiment import PeptideExperiment
from foldwright.data.peptide_store import PeptideStore
from foldwright.models.peptide.import_structdiff import (
    StructDiffSettings,
    read_structdiff_settings,
)
from foldwright.models.peptide.structdiff_calls import translate_call
from foldwright.runtime.config import dump_config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic


def import_structdiff(
    settings: Path, out: Path, store: Path, max_steps: int | None
) -> dict[str, Any]:
    """Write the settings of a training run, and return what to show.

    Raises:
        InputError: the file means nothing, or the steps of an epoch are not known.
    """
    read = read_structdiff_settings(settings)
    values = {**read.values, "store": str(store)}
    steps = _steps(read, store, settings) if max_steps is None else max_steps
    if steps is not None:
        values["training"] = {**values.get("training", {}), "max_steps": steps}
    experiment = parse_config(PeptideExperiment, values, str(settings))
    write_atomic(out, dump_config(experiment))
    rows = [{"without_effect": line} for line in read.without_effect]
    result: dict[str, Any] = {"config": out, "steps": experiment.training.max_steps}
    if read.peptide_options:
        words = [word for pair in read.peptide_options.items() for word in pair]
        result["generate"] = shlex.join(["foldwright", "peptide", *words, "--out", "peptides"])
    return {**result, "lines": rows}


def translate_command(
    call: str,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn a call of a StructDiff script into a call of ours.

    Every option that has no effect is listed with the reason. Nothing is run.

    Examples:
        foldwright config translate "scripts/generate.py --num_samples 100 --peptide_type antiviral"

    Args:
        call: The old command line, in quotes.
        as_json: Print one JSON object.
    """
    found = translate_call(shlex.split(call))
    rows = [{"without_effect": line} for line in found.without_effect]
    emit({"command": shlex.join(found.words), "options": rows}, as_json)
    return DONE


def _steps(read: StructDiffSettings, store: Path, settings: Path) -> int | None:
    """Epochs times batches of an epoch; None where the file says nothing about the length."""
    if read.epochs is None:
        return None
    batch = read.values.get("peptides", {}).get("max_batch")
    if not store.exists() or batch is None:
        missing = f"{store}: no such store" if batch else "stage1.batch_size is missing"
        message = f"{missing}, so the steps of an epoch are not known; give --max-steps"
        raise InputError(Problem(f"{settings}: separated_training.stage1.epochs", message))
    peptides = len(PeptideStore.open(store).split("train"))
    accumulation = read.values.get("training", {}).get("accumulation", 1)
    return read.epochs * math.ceil(peptides / (batch * accumulation))
