"""`foldwright config import`: settings of Genie or StructDiff to settings of a training run."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foldwright.cli.backbone_experiment import BackboneExperiment
from foldwright.cli.config_structdiff import import_structdiff
from foldwright.cli.exit_codes import DONE
from foldwright.cli.output import emit
from foldwright.data.store import ChainStore
from foldwright.models.backbone.genie_configuration import read_genie_configuration
from foldwright.runtime.config import dump_config, parse_config
from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.files import write_atomic

_YAML_SUFFIXES = (".yaml", ".yml")
_TRANSLATED = {
    "seed": "training.seed",
    "learningRate": "training.optimiser.learning_rate",
    "batchSize": "chains.max_batch",
    "logEverySteps": "training.log_every",
    "checkpointEveryEpoches": "training.checkpoint.every_epochs",
    "minimumNumResidues": "chains.min_length",
}
_ADVICE = {
    "name": "name the folder of the run with `foldwright train backbone --out`",
    "logDirectory": "name the folder of the run with `foldwright train backbone --out`",
    "dataDirectory": "turn the data into a store with `foldwright data import-legacy`",
    "datasetNames": "turn the data into a store with `foldwright data import-legacy`",
    "datasetClasses": "choose chains when the store is made",
    "datasetSize": "choose chains when the store is made",
}
# What Genie does and its file does not say: every chain in every epoch, of any length, and neither
# clipping nor a mean of weights.
_LIKE_GENIE: dict[str, dict[str, Any]] = {
    "chains": {"one_per_cluster": False, "min_length": 4},
    "training": {"gradient_clip": None, "ema": {"decay": 0.0}},
}


def import_command(
    configuration: Path,
    *,
    out: Path = Path("config.yaml"),
    store: Path = Path("store"),
    max_steps: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Turn old settings into those of `foldwright train backbone` or `foldwright train peptide`.

    A flat `configuration` file is Genie's, a YAML file is StructDiff's. Every line or key that has
    no effect is listed with the reason.

    Examples:
        foldwright config import runs/scope/configuration --store store/
        foldwright config import configs/separated_training.yaml --store peptides/
        foldwright config import configuration --out scope.yaml --max-steps 100000

    Args:
        configuration: Text file of `key value` lines, or YAML.
        out: YAML file to write; it must not exist.
        store: Store to train on. If it exists, its training chains turn epochs into steps.
        max_steps: Optimiser steps of the run, instead of those that follow from the epochs.
        as_json: Print one JSON object.
    """
    if out.exists():
        raise InputError(Problem(str(out), "exists already; name another file with --out"))
    if configuration.suffix in _YAML_SUFFIXES:
        emit(import_structdiff(configuration, out, store, max_steps), as_json, title="settings")
        return DONE
    read = read_genie_configuration(configuration)
    run = {key: text for key, text in read.run.items() if text != "None"}
    values = _values(run)
    values["store"] = str(store)
    values["genie"] = read.genie.model_dump()
    values["diffusion"] = read.diffusion.model_dump()
    steps = _steps(run, store, str(configuration)) if max_steps is None else max_steps
    values["training"]["max_steps"] = steps
    experiment = parse_config(BackboneExperiment, values, str(configuration))
    write_atomic(out, dump_config(experiment))
    ignored = [*read.without_effect, *_without_counterpart(run)]
    rows = [{"without_effect": line} for line in ignored]
    emit({"config": out, "steps": steps, "lines": rows}, as_json, title="settings")
    return DONE


def _values(run: dict[str, str]) -> dict[str, Any]:
    """Sections of the experiment from texts of the file, which are checked with the rest."""
    values: dict[str, Any] = {name: {**section} for name, section in _LIKE_GENIE.items()}
    for key, place in _TRANSLATED.items():
        if key not in run:
            continue
        *sections, field = place.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[field] = run[key]
    if "checkpointEveryEpoches" in run:
        values["training"]["checkpoint"]["every_steps"] = None
    return values


def _steps(run: dict[str, str], store: Path, source: str) -> int:
    """Epochs of Genie times batches per epoch."""
    problems: list[Problem] = []
    epochs, batch = (_count(run, key, source, problems) for key in ("numEpoches", "batchSize"))
    if store.exists():
        chains: int | None = len(ChainStore.open(store).split("train"))
    else:
        chains = _count(run, "datasetSize", source, problems) if "datasetSize" in run else None
    if chains is None:
        message = "no such store, so the steps of an epoch are not known; name one with --store"
        problems.append(Problem(str(store), f"{message}, or give --max-steps"))
    if problems or epochs is None or batch is None or chains is None:
        raise InputError(problems)
    return epochs * math.ceil(chains / batch)


def _count(run: dict[str, str], key: str, source: str, problems: list[Problem]) -> int | None:
    text = run.get(key)
    if text is not None and text.isdecimal() and int(text) > 0:
        return int(text)
    found = "is missing" if text is None else f"found {text!r}, expected a whole number above 0"
    problems.append(Problem(f"{source}: {key}", f"{found}; or give --max-steps"))
    return None


def _without_counterpart(run: dict[str, str]) -> Iterable[str]:
    return (f"{key} {run[key]}: {advice}" for key, advice in _ADVICE.items() if key in run)
