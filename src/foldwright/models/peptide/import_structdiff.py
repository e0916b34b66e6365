"""Settings files of StructDiff (YAML): what they say here, and what of them has no effect."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foldwright.runtime.errors import InputError, Problem
from foldwright.runtime.yaml_text import parse_yaml

_UNREAD = "StructDiff reads it nowhere"
_OUT = "name the folder with `foldwright train peptide --out`"
_STORE = "turn the table into a store with `foldwright data prepare-peptides`"
_STRUCTURES = "give predicted structures to `foldwright data prepare-peptides --structures`"
_DECODER = "the decoder is trained together with the denoiser"
_FEATURES = "structure features are given by residue and read by cross-attention"
_EVALUATE = "score peptides with `foldwright evaluate`"

_PLACES = {
    "experiment.seed": "training.seed",
    "model.sequence_encoder.pretrained_model": "model.encoder.checkpoint",
    "model.sequence_encoder.lora_rank": "model.encoder.lora_rank",
    "model.sequence_encoder.lora_alpha": "model.encoder.lora_scale",
    "model.denoiser.hidden_dim": "model.denoiser.channels",
    "model.denoiser.num_layers": "model.denoiser.num_layers",
    "model.denoiser.num_heads": "model.denoiser.num_heads",
    "model.denoiser.dropout": "model.denoiser.dropout",
    "model.denoiser.use_cross_attention": "model.denoiser.cross_attention",
    "diffusion.num_timesteps": "model.diffusion.num_steps",
    "separated_training.stage1.batch_size": "peptides.max_batch",
    "separated_training.stage1.learning_rate": "training.optimiser.learning_rate",
    "separated_training.stage1.gradient_clip": "training.gradient_clip",
    "training_enhancements.gradient_accumulation_steps": "training.accumulation",
    "training_enhancements.save_every": "training.checkpoint.every_epochs",
    "data.max_length": "model.max_length",
    "data.num_workers": "training.num_workers",
    "classifier_free_guidance.dropout_prob": "conditioning.drop_all",
    "resources.device": "training.device",
}
"""Keys whose value is taken over as it is."""

_WITHOUT_EFFECT = {
    "experiment": _OUT,
    "model.sequence_encoder.lora_dropout": "low-rank updates have no dropout here",
    "model.structure_encoder": _FEATURES,
    "model.sequence_decoder": _UNREAD,
    "use_decoder_layers": _DECODER,
    "use_bidirectional_attention": _UNREAD,
    "model.use_decoder_layers": _DECODER,
    "diffusion.loss_type": "the loss is the mean square over real residues",
    "separated_training.stage1": _UNREAD,
    "separated_training.stage2": _DECODER,
    "separated_training": _UNREAD,
    "data.structure_cache_dir": _STRUCTURES,
    "data.pin_memory": "memory is pinned where the device needs it",
    "data.min_length": "give it to `foldwright data prepare-peptides --min-length`",
    "data.augmentation": _UNREAD,
    "data": _STORE,
    "length_control": "peptides have exactly the length asked for; see `foldwright peptide`",
    "classifier_free_guidance.adaptive_guidance": "the scale follows --guidance-schedule alone",
    "classifier_free_guidance": "labels are hidden one by one and all together",
    "training_enhancements.validate_every": "is counted in steps here: training.validate_every",
    "training_enhancements": _UNREAD,
    "evaluation": _EVALUATE,
    "resources": "one run takes one device; start it with torchrun for more",
    "generation": "StructDiff has no reader of it",
    "wandb": "metrics are files: metrics.csv, training_metrics.json",
    "tensorboard": "write training.tensorboard=true",
}
"""Keys, or sections, that do nothing here, with the reason; the longest that fits counts."""

_SCHEDULES = {"sqrt": "structdiff_sqrt", "linear": "linear", "cosine": "cosine"}
_SAMPLERS = {
    "ddpm": "ddpm",
    "ddim": "ddim",
    "pndm": "dpm",
    "dpm_solver": "dpm",
    "dpm++": "dpm",
    "dpm_solver++": "dpm",
}
_BETAS = {"diffusion.beta_start": 1e-4, "diffusion.beta_end": 0.02}


@dataclass
class StructDiffSettings:
    """What a settings file comes to.

    Attributes:
        values: settings of a training run, by section.
        peptide_options: options for `foldwright peptide`, by name.
        epochs: length of the training, in passes over the table.
        without_effect: keys that do nothing here, each with the reason.
    """

    values: dict[str, Any] = field(default_factory=dict)
    peptide_options: dict[str, str] = field(default_factory=dict)
    epochs: int | None = None
    without_effect: list[str] = field(default_factory=list)


def read_structdiff_settings(path: Path) -> StructDiffSettings:
    """Read a YAML file of StructDiff.

    The network predicts noise from latents of ESM-2 without self-conditioning, as StructDiff's
    does. Its `sqrt` is a schedule of its own here, `structdiff_sqrt`.

    Raises:
        InputError: the file cannot be read, is not YAML, or holds values that mean nothing.
    """
    found = StructDiffSettings()
    problems: list[Problem] = []
    keys = dict(_flatten(_read(path)))
    for key, value in keys.items():
        if key in _PLACES:
            _put(found.values, _PLACES[key], value)
        elif key in _RULES:
            message = _RULES[key](found, keys, value)
            if message:
                problems.append(Problem(f"{path}: {key}", message))
        else:
            found.without_effect.append(f"{key} {value}: {_reason(key)}")
    if problems:
        raise InputError(problems)
    _complete(found)
    return found


def _complete(found: StructDiffSettings) -> None:
    """What StructDiff does and its file does not say."""
    for place, value in (
        ("model.encoder.kind", "esm2"),
        ("model.diffusion.prediction", "epsilon"),
        ("model.diffusion.self_conditioning", False),
        ("model.denoiser.preset", "structdiff"),
        ("peptides.max_tokens", None),
    ):
        _put(found.values, place, value)
    diffusion = found.values["model"]["diffusion"]
    diffusion.setdefault("schedule", "structdiff_sqrt")


def _adaptation(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    lora = keys.get("model.sequence_encoder.use_lora", False)
    frozen = keys.get("model.sequence_encoder.freeze_encoder", True)
    word = "lora" if lora else "frozen" if frozen else "unfrozen"
    _put(found.values, "model.encoder.adaptation", word)
    return ""


def _schedule(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    if value not in _SCHEDULES:
        return (
            f"found {value!r}, expected one of {', '.join(_SCHEDULES)}; StructDiff's alphafold3 is "
            "in effect a constant beta of 0.02, which destroys latents at once"
        )
    _put(found.values, "model.diffusion.schedule", _SCHEDULES[value])
    return ""


def _beta(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    for key, known in _BETAS.items():
        if keys.get(key) == value and value != known:
            line = f"{key} {value}: schedules have fixed ends; here it is {known:g}"
            if line not in found.without_effect:
                found.without_effect.append(line)
    return ""


def _sampler(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    if value not in _SAMPLERS:
        return f"found {value!r}, expected one of {', '.join(_SAMPLERS)}"
    found.peptide_options["--sampler"] = _SAMPLERS[value]
    return ""


def _epochs(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    if not isinstance(value, int) or value < 1:
        return f"found {value!r}, expected a whole number above 0"
    found.epochs = value
    return ""


def _precision(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    on = keys.get("training_enhancements.use_amp", True)
    kind = str(keys.get("training_enhancements.amp_dtype", "auto"))
    words = {"float16": "fp16", "fp16": "fp16", "bfloat16": "bf16", "bf16": "bf16"}
    _put(found.values, "training.precision", words.get(kind, "auto") if on else "fp32")
    return ""


def _mean_of_weights(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    on = keys.get("training_enhancements.use_ema", True)
    decay = keys.get("training_enhancements.ema_decay", 0.9999)
    _put(found.values, "training.ema.decay", decay if on else 0.0)
    return ""


def _structures(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    _put(found.values, "stage", 2 if value else 1)
    return ""


def _lengths(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    ends = [keys.get(f"length_control.{end}_length") for end in ("min", "max")]
    if None not in ends:
        found.peptide_options["--length"] = f"{ends[0]}-{ends[1]}"
    return ""


def _option(name: str) -> "_Rule":
    def take(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
        found.peptide_options[name] = str(value)
        return ""

    return take


def _guided(found: StructDiffSettings, keys: Mapping[str, Any], value: Any) -> str:
    if not value:
        found.peptide_options["--guidance"] = "1"
    return ""


_Rule = Callable[[StructDiffSettings, Mapping[str, Any], Any], str]
"""Takes a value over, or says why it means nothing."""

_RULES: dict[str, _Rule] = {
    "model.sequence_encoder.freeze_encoder": _adaptation,
    "model.sequence_encoder.use_lora": _adaptation,
    "diffusion.noise_schedule": _schedule,
    "diffusion.beta_start": _beta,
    "diffusion.beta_end": _beta,
    "diffusion.sampling_method": _sampler,
    "diffusion.ddim_steps": _option("--steps"),
    "separated_training.stage1.epochs": _epochs,
    "training_enhancements.use_amp": _precision,
    "training_enhancements.amp_dtype": _precision,
    "training_enhancements.use_ema": _mean_of_weights,
    "training_enhancements.ema_decay": _mean_of_weights,
    "data.use_predicted_structures": _structures,
    "length_control.min_length": _lengths,
    "length_control.max_length": _lengths,
    "classifier_free_guidance.enabled": _guided,
    "classifier_free_guidance.guidance_scale": _option("--guidance"),
    "classifier_free_guidance.guidance_schedule": _option("--guidance-schedule"),
    "generation.num_samples": _option("--num"),
    "generation.guidance_scale": _option("--guidance"),
    "generation.temperature": _option("--temperature"),
}


def _reason(key: str) -> str:
    if key in _WITHOUT_EFFECT:
        return _WITHOUT_EFFECT[key]
    near = difflib.get_close_matches(key, [*_PLACES, *_RULES], n=1, cutoff=0.9)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        reason = _WITHOUT_EFFECT.get(".".join(parts[:end]))
        if reason is not None:
            return reason
    return "unknown key"


def _flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; an empty section is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _put(values: dict[str, Any], place: str, value: Any) -> None:
    *sections, name = place.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path), "is no readable text file; expected YAML")) from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict) or not values:
        message = "holds no settings; expected sections as model:, diffusion:, data:"
        raise InputError(Problem(str(path), message))
    return values
