"""`foldwright train backbone` and `foldwright train export`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.backbone_experiment import BackboneExperiment, build_task
from foldwright.cli.exit_codes import DONE
from foldwright.cli.export_weights import export_weights
from foldwright.cli.output import emit
from foldwright.cli.run_folder import (
    Which,
    train_in_folder,
    training_code,
    training_record,
    written_kinds,
)
from foldwright.runtime.allocator import keep_freed_memory
from foldwright.runtime.config import load_config


def backbone_command(
    config: Path,
    *overrides: str,
    out: Path,
    resume_from: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Train a backbone model; run the same command again to go on after a stop.

    Ctrl-C finishes the step, saves and stops. When a run ends, finished or stopped, its weights
    are written: `last.safetensors`, and `best.safetensors` by validation loss.

    Examples:
        foldwright train backbone config.yaml --out runs/small
        foldwright train backbone config.yaml training.max_steps=2000 --out runs/small

    Args:
        config: YAML file with the settings of the run.
        overrides: Settings as key=value that win over the file.
        out: Folder of the run: checkpoints, metrics, weights.
        resume_from: Checkpoint of this run to go on from instead of the latest.
        as_json: Print one JSON object.
    """
    experiment = load_config(BackboneExperiment, config, overrides)
    keep_freed_memory()
    task = build_task(experiment)
    result = train_in_folder(task, experiment, experiment.training, out, resume_from)
    if not result.is_first:
        return training_code(result)
    record = training_record(result) | {
        "chains": task.num_chains["train"],
        "weights": [
            export_weights(out, which, out / f"{which}.safetensors")
            for which in written_kinds(result)
        ],
    }
    emit(record, as_json, title="training")
    return training_code(result)


def export_command(
    run: Path,
    *,
    out: Path,
    which: Which = "best",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write the weights of a run as a file that `design` reads, while it trains or after.

    Examples:
        foldwright train export runs/small --out small.safetensors
        foldwright train export runs/small --which last --out small.safetensors

    Args:
        run: Folder of the run.
        out: Weight file to write; its card has the same name and ends in .json.
        which: The checkpoint with the lowest validation loss, or the last one.
        as_json: Print one JSON object.
    """
    emit({"weights": export_weights(run, which, out)}, as_json)
    return DONE
