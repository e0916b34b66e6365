"""`foldwright fold weights`: look at parameter files of the fold network and convert them."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.models.fold import FoldConfig, convert_weights, inspect_weights
from foldwright.runtime.config import load_config

_SHOWN = 20


def inspect_weights_command(
    file: Path,
    *,
    config: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Check a parameter file against the network: every name, every shape, who made it.

    Ends with code 1 if the network cannot be built from the file.

    Examples:
        foldwright fold weights inspect af3.bin.zst

    Args:
        file: `NAME.bin`, `NAME.bin.zst`, or a folder that holds one, whole or in shards; or a
            checkpoint of a known family (.pt, .ckpt, .safetensors).
        config: Sizes of the network as YAML. Default: what the file tells, and those of the
            released parameters for `NAME.bin`.
        as_json: Print one JSON object.
    """
    summary = inspect_weights(file, _sizes(config))
    result = {
        "file": summary.source,
        "family": summary.family,
        "identifier": summary.identifier,
        "records": summary.records,
        "values": summary.values,
        "dtypes": summary.dtypes,
        "fits": not summary.problems,
        "problems": [{"problem": problem} for problem in summary.problems[:_SHOWN]],
    }
    emit(result, as_json)
    return SOME_FAILED if summary.problems else DONE


def convert_weights_command(
    file: Path,
    *,
    out: Path,
    config: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write a parameter file as safetensors, which later runs map into memory.

    Examples:
        foldwright fold weights convert af3.bin.zst --out af3.safetensors

    Args:
        file: `NAME.bin`, `NAME.bin.zst`, or a folder that holds one, whole or in shards; or a
            checkpoint of a known family (.pt, .ckpt, .safetensors).
        out: The new file; ends in .safetensors.
        config: Sizes of the network as YAML. Default: what the file tells, and those of the
            released parameters for `NAME.bin`.
        as_json: Print one JSON object.
    """
    count = convert_weights(file, _sizes(config), out)
    emit({"file": out, "parameters": count}, as_json)
    return DONE


def _sizes(config: Path | None) -> FoldConfig | None:
    """What the user says about the network; without a word, the file tells."""
    return None if config is None else load_config(FoldConfig, config)
