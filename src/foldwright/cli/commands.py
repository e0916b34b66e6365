"""The words that name commands, and where each command is.

A command is a row of `COMMANDS`, with its place as `module:function`, so that neither
`foldwright --help` nor a mistyped command imports the commands or torch.
"""

import difflib
from collections.abc import Sequence
from itertools import takewhile

from foldwright.runtime.errors import InputError, Problem

COMMANDS = (
    ("config import", "foldwright.cli.config:import_command", "Turn old settings into YAML."),
    (
        "config translate",
        "foldwright.cli.config_structdiff:translate_command",
        "Turn a call of a StructDiff script into ours.",
    ),
    ("data fetch", "foldwright.cli.fetch:fetch_command", "Download structures."),
    ("data import-legacy", "foldwright.cli.data:import_legacy_command", "Import Genie data sets."),
    ("data inspect", "foldwright.cli.data:inspect_command", "Show what a store holds."),
    (
        "data predict-structures",
        "foldwright.cli.predict_structures:predict_structures_command",
        "Predict structures of peptides.",
    ),
    ("data prepare", "foldwright.cli.data:prepare_command", "Turn structure files into a store."),
    (
        "data prepare-peptides",
        "foldwright.cli.prepare_peptides:prepare_peptides_command",
        "Turn a table of peptides into a store.",
    ),
    ("design", "foldwright.cli.design:design_command", "Design protein backbones."),
    ("doctor", "foldwright.cli.doctor:doctor_command", "Show what this machine has."),
    ("evaluate", "foldwright.cli.evaluate:evaluate_command", "Score structures against nature."),
    ("fold weights convert", "foldwright.cli.fold:convert_weights_command", "Write safetensors."),
    ("fold weights inspect", "foldwright.cli.fold:inspect_weights_command", "Check parameters."),
    ("peptide", "foldwright.cli.peptide:peptide_command", "Make new peptides."),
    ("plan", "foldwright.cli.plan:plan_command", "Predict memory and time."),
    ("report", "foldwright.cli.report:report_command", "Write a page about structures."),
    ("train backbone", "foldwright.cli.train:backbone_command", "Train a backbone model."),
    ("train classifier", "foldwright.cli.train_classifier:classifier_command", "Train a judge."),
    (
        "train export-peptide",
        "foldwright.cli.train_peptide:export_peptide_command",
        "Write the weights of a peptide run.",
    ),
    ("train peptide", "foldwright.cli.train_peptide:peptide_train_command", "Train peptides."),
    ("train export", "foldwright.cli.train:export_command", "Write the weights of a run."),
)
"""Words of the command, `module:function`, and its line in the list of commands."""

GROUPS = {
    "config": "Settings of training runs.",
    "data": "Fetch, prepare and inspect structures to train on.",
    "fold": "Predict structures of complexes from sequence.",
    "fold weights": "Check parameter files of the fold network and convert them.",
    "train": "Train models, and take their weights out of runs.",
}
"""Words before a command, and their line in the list of commands."""


def require_command(words: Sequence[str]) -> None:
    """Refuse a command line whose first words name no command.

    Raises:
        InputError: a word is no command of its group; the message has the nearest one, or all.
    """
    commands = [command for command, _, _ in COMMANDS]
    group = ""
    for word in takewhile(lambda word: not word.startswith("-"), words):
        path = f"{group} {word}".strip()
        if path in commands:
            return
        if path not in GROUPS:
            raise InputError(_unknown(word, group, [*commands, *GROUPS]))
        group = path


def _unknown(word: str, group: str, paths: Sequence[str]) -> Problem:
    known = sorted(path.rpartition(" ")[2] for path in paths if path.rpartition(" ")[0] == group)
    near = difflib.get_close_matches(word, known, n=1)
    page = " ".join(["foldwright", *group.split(), "--help"])
    hint = f"did you mean {near[0]}? See" if near else f"expected {', '.join(known)}; see"
    return Problem(word, f"unknown command; {hint} {page}")
