"""Calls of StructDiff's scripts as calls of ours."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from foldwright.runtime.errors import InputError, Problem

_ALL_FORMATS = "FASTA, CSV and JSON are all written"
_ROWS = "peptides are made in batches of one size, on which nothing depends"
_CONFIG = "write it into the YAML file, which `foldwright config import` makes"
_NO_WEIGHTS = (
    "StructDiff published no weights and its checkpoints have no counterpart: train with "
    "`foldwright train peptide`, or take the bundled weights"
)
_DECODER = "the decoder is trained together with the denoiser"
_DRY = "settings are checked before anything starts"


@dataclass(frozen=True)
class Script:
    """What a script is called here.

    Attributes:
        command: words of our command.
        options: option of the script -> ours; one that ends in `=` is a setting of a run, and an
            empty one takes no option (a positional word).
        ignored: option of the script -> why it has no effect.
    """

    command: tuple[str, ...]
    options: Mapping[str, str]
    ignored: Mapping[str, str]


@dataclass(frozen=True)
class TranslatedCall:
    """Our words, and the options that have no effect with the reason."""

    words: tuple[str, ...]
    without_effect: tuple[str, ...]


_SCRIPTS = {
    "generate": Script(
        ("foldwright", "peptide"),
        {
            "num_samples": "--num",
            "peptide_type": "--activity",
            "length": "--length",
            "min_length": "",
            "max_length": "",
            "target_structure": "--secondary",
            "guidance_scale": "--guidance",
            "output": "--out",
            "seed": "--seed",
            "device": "--device",
        },
        {
            "checkpoint": _NO_WEIGHTS,
            "batch_size": _ROWS,
            "output_format": _ALL_FORMATS,
        },
    ),
    "cfg_length_integrated_sampling": Script(
        ("foldwright", "peptide"),
        {
            "num_samples": "--num",
            "guidance_scale": "--guidance",
            "output": "--out",
            "device": "--device",
        },
        {
            "batch_size": _ROWS,
            "length_mean": "write --length 12-30, or leave it to the training peptides",
            "length_std": "write --length 12-30, or leave it to the training peptides",
        },
    ),
    "train_separated": Script(
        ("foldwright", "train", "peptide"),
        {
            "config": "",
            "output_dir": "--out",
            "device": "training.device=",
            "stage1_lr": "training.optimiser.learning_rate=",
            "batch_size": "peptides.max_batch=",
        },
        {
            "data_dir": "turn the table into a store with `foldwright data prepare-peptides`",
            "stage1_epochs": "epochs become steps: training.max_steps=, or `foldwright config "
            "import`",
            "stage2_epochs": _DECODER,
            "stage2_lr": _DECODER,
            "stage": _DECODER,
            "stage1_checkpoint": _NO_WEIGHTS,
            "use_cfg": "labels are always hidden at random; conditioning.drop_all=0 turns it off",
            "use_length_control": "peptides have exactly the length asked for",
            "use_amp": "write training.precision=fp32 to turn mixed precision off",
            "use_ema": "write training.ema.decay=0 to turn it off",
            "debug": _DRY,
            "dry_run": _DRY,
        },
    ),
    "train": Script(
        ("foldwright", "train", "peptide"),
        {"config": ""},
        {
            "resume": "run the same command again",
            "wandb": "metrics are files: metrics.csv, training_metrics.json",
            "debug": _DRY,
        },
    ),
    "evaluate": Script(
        ("foldwright", "evaluate"),
        {"peptides": "", "generated": "", "reference": "--reference", "output": "--out"},
        {
            "metrics": "all scores are computed",
            "predict_structure": "structures are read where they are present",
            "compute_properties": "all scores are computed",
            "batch_size": "scores need none",
        },
    ),
    "preprocess_data": Script(
        ("foldwright", "data", "prepare-peptides"),
        {
            "input": "",
            "output_dir": "--out",
            "structure_dir": "--structures",
            "min_length": "--min-length",
            "max_length": "--max-length",
            "seed": "--seed",
        },
        {
            "predict_structures": "give predicted structures with --structures",
            "split_ratios": "clusters of similar peptides are split; --val-share says how many",
        },
    ),
}
_ALIASES = {
    "preprocess": "preprocess_data",
    "structdiff-generate": "generate",
    "structdiff-train": "train",
    "structdiff-evaluate": "evaluate",
    "structdiff-preprocess": "preprocess_data",
}


def translate_call(words: Sequence[str]) -> TranslatedCall:
    """Turn a call such as `python scripts/generate.py --num_samples 10` into ours.

    `--peptide_type random` asks for no activity. Dotted `--model.hidden_dim 512` of the README are
    settings of a run.

    Raises:
        InputError: no script of StructDiff is called.
    """
    words = [word for word in words if PurePath(word).name not in ("python", "python3")]
    name = PurePath(words[0]).name.removesuffix(".py") if words else ""
    script = _SCRIPTS.get(_ALIASES.get(name, name))
    if script is None:
        known = ", ".join(f"{key}.py" for key in _SCRIPTS)
        message = f"is no script of StructDiff that has a counterpart here; those are {known}"
        raise InputError(Problem(name or "the call", message))
    given = dict(_options(words[1:]))
    out: list[str] = []
    ignored: list[str] = []
    for option, value in given.items():
        if option in ("min_length", "max_length") and script.options.get(option) == "":
            continue
        if option in script.options:
            out += _ours(script.options[option], value)
        else:
            ignored.append(f"--{option} {value}".strip() + f": {_why(option, script)}")
    ends = given.get("min_length"), given.get("max_length")
    if script.options.get("min_length") == "" and any(ends):
        out += ["--length", f"{ends[0] or 5}-{ends[1] or 50}"]
    return TranslatedCall((*script.command, *out), tuple(ignored))


def _ours(option: str, value: str) -> list[str]:
    if option == "--activity" and value == "random":
        return []
    if option.endswith("="):
        return [f"{option}{value}"]
    return [option, value] if option else [value]


def _why(option: str, script: Script) -> str:
    if option in script.ignored:
        return script.ignored[option]
    if "." in option:
        return _CONFIG
    known = [*script.options, *script.ignored]
    near = difflib.get_close_matches(option, known, n=1, cutoff=0.6)
    return "unknown option" + (f"; did you mean --{near[0]}?" if near else "")


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, joined where there are several; switches have none."""
    name, values = "", list[str]()
    for word in [*words, "--"]:
        if word.startswith("--"):
            if name:
                yield name, " ".join(values)
            name, _, value = word.removeprefix("--").partition("=")
            # dashes within names are StructDiff's underscores in another script
            name, values = name.replace("-", "_"), [value] if value else []
        else:
            values.append(word)
