"""`foldwright report`: one page about the designs of a folder."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foldwright.cli.exit_codes import DONE, SOME_FAILED
from foldwright.cli.output import emit
from foldwright.cli.progress import terminal_progress
from foldwright.evaluation.folder import evaluate_folder
from foldwright.evaluation.report import REPORT_NAME, draw_first_designs, write_report


def report_command(
    folder: Path,
    *,
    out: Path | None = None,
    picture: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write one page with scores, distributions and a 3-D viewer; it opens without a network.

    Examples:
        foldwright report designs/
        foldwright report designs/ --out page.html --picture designs.png

    Args:
        folder: PDB, mmCIF or BinaryCIF files, also gzipped, at any depth.
        out: The page. Default: report.html in the folder.
        picture: Also draw the first designs into this PNG or SVG file.
        as_json: Print one JSON object.
    """
    target = folder / REPORT_NAME if out is None else out
    evaluation = evaluate_folder(folder, progress=terminal_progress)
    write_report(evaluation, target)
    if picture is not None:
        draw_first_designs(evaluation.designs, picture)
    result = {
        "designs": len(evaluation.designs),
        "failed": len(evaluation.failures),
        "report": target,
        "picture": picture,
        "failures": [
            {"file": failure.file, "reason": failure.reason} for failure in evaluation.failures
        ],
    }
    emit(result, as_json)
    return SOME_FAILED if evaluation.failures else DONE
