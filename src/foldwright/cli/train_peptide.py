"""`foldwright train peptide` and `export-peptide`: the encoder and three stages of diffusion."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE
from foldwright.cli.export_peptide import export_peptide_weights
from foldwright.cli.output import emit
from foldwright.cli.peptide_experiment import (
    PeptideExperiment,
    build_diffusion_task,
    build_encoder_task,
)
from foldwright.cli.run_folder import (
    Which,
    train_in_folder,
    training_code,
    training_record,
    written_kinds,
)
from foldwright.runtime.config import load_config
from foldwright.runtime.files import write_atomic

METRICS_NAME = "training_metrics.json"


def peptide_train_command(
    config: Path,
    *overrides: str,
    out: Path,
    resume_from: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Train a peptide model; run the same command again to go on after a stop.

    Stages are presets: `stage=encoder` trains the masked language model, then 1 diffusion on
    sequences, 2 with structure features, 3 with the encoder unfrozen. Ctrl-C finishes the step,
    saves and stops. When a run ends, finished or stopped, its weights are written:
    `last.safetensors`, and `best.safetensors` by validation loss; `training_metrics.json` has the
    whole course.

    Examples:
        foldwright train peptide config.yaml stage=encoder --out runs/encoder
        foldwright train peptide config.yaml stage=1 --out runs/one
        foldwright train peptide config.yaml stage=2 start_weights=bundled --out runs/two

    Args:
        config: YAML file with the settings of the run.
        overrides: Settings as key=value that win over the file.
        out: Folder of the run: checkpoints, metrics, weights.
        resume_from: Checkpoint of this run to go on from instead of the latest.
        as_json: Print one JSON object.
    """
    experiment = load_config(PeptideExperiment, config, overrides)
    is_encoder = experiment.stage == "encoder"
    task = build_encoder_task(experiment) if is_encoder else build_diffusion_task(experiment)
    result = train_in_folder(task, experiment, experiment.training, out, resume_from)
    if not result.is_first:
        return training_code(result)
    write_metrics(out)
    record = training_record(result) | {
        "peptides": task.num_peptides["train"],
        "weights": [
            export_peptide_weights(out, which, out / f"{which}.safetensors")
            for which in written_kinds(result)
        ],
    }
    emit(record, as_json, title="training")
    return training_code(result)


def export_peptide_command(
    run: Path,
    *,
    out: Path,
    which: Which = "best",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write the weights of a run as a file that `peptide` reads, while it trains or after.

    Examples:
        foldwright train export-peptide runs/one --out one.safetensors
        foldwright train export-peptide runs/one --which last --out one.safetensors

    Args:
        run: Folder of the run.
        out: Weight file to write; its card has the same name and ends in .json.
        which: The checkpoint with the lowest validation loss, or the last one.
        as_json: Print one JSON object.
    """
    emit({"weights": export_peptide_weights(run, which, out)}, as_json)
    return DONE


def write_metrics(run: Path) -> None:
    """Write the course of a run as one JSON file: lists of numbers by step."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    course = {
        kind: [{k: v for k, v in row.items() if k != "kind"} for row in rows if row["kind"] == kind]
        for kind in ("train", "validation")
    }
    write_atomic(run / METRICS_NAME, json.dumps(course, indent=1) + "\n")
