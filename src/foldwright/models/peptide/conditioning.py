"""What the denoiser is told in training: a random part of what is known of each peptide."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from foldwright.models.peptide.inputs import UNKNOWN_LABEL, Condition
from foldwright.runtime.config import Config
from foldwright.runtime.errors import InputError, Problem


class ConditioningConfig(Config):
    """How much is told; what is not told can be left open when peptides are made."""

    drop_all: float = Field(
        default=0.15, ge=0, le=1, description="share of peptides of which no label is told"
    )
    single_label: float = Field(
        default=0.4, ge=0, le=1, description="share of peptides of which one label at most is told"
    )
    main_labels: tuple[str, ...] = Field(
        default=("antimicrobial", "antifungal", "antiviral"),
        description="labels that are told alone as often as all others together",
    )
    drop_label: float = Field(
        default=0.3, ge=0, le=1, description="share of labels not told of the other peptides"
    )
    drop_structure: float = Field(
        default=0.5, ge=0, le=1, description="share of structures not told, as a whole"
    )
    drop_secondary: float = Field(
        default=0.5, ge=0, le=1, description="share of secondary structures not told, as a whole"
    )


class ConditionDropper:
    """Draws what is told. Which labels are told never depends on their values.

    Raises:
        InputError: shares that make more than a whole, a main label that there is not.
    """

    def __init__(self, config: ConditioningConfig, labels: tuple[str, ...]) -> None:
        self._config = config
        self._weights = _single_weights(config, labels)
        if config.drop_all + config.single_label > 1:
            message = (
                f"drop_all={config.drop_all} and single_label={config.single_label} are more than "
                "all peptides together; lower one"
            )
            raise InputError(Problem("conditioning", message))

    def __call__(self, condition: Condition, generator: torch.Generator) -> Condition:
        """Return what is told of a batch; draws on the CPU."""
        labels, config = condition.labels, self._config
        told = self._told(len(labels), generator).to(labels.device)
        draw = torch.rand(2, len(labels), generator=generator).to(labels.device)
        structure = condition.structure
        if structure is not None:
            kept = structure.keep(draw[0] >= config.drop_structure)
            structure = kept if bool(kept.mask.any()) else None
        shown = (draw[1] >= config.drop_secondary)[:, None]
        return replace(
            condition,
            labels=torch.where(told, labels, UNKNOWN_LABEL),
            secondary=condition.secondary * shown,
            structure=structure,
        )

    def _told(self, batch_size: int, generator: torch.Generator) -> Bool[Tensor, "b l"]:
        config, num_labels = self._config, len(self._weights)
        mode = torch.rand(batch_size, 1, generator=generator)
        told = torch.rand(batch_size, num_labels, generator=generator) >= config.drop_label
        single = torch.multinomial(self._weights, batch_size, replacement=True, generator=generator)
        alone = torch.nn.functional.one_hot(single, num_labels).bool()
        told = torch.where(mode < config.drop_all + config.single_label, alone, told)
        return told & (mode >= config.drop_all)


def _single_weights(config: ConditioningConfig, labels: tuple[str, ...]) -> Tensor:
    unknown = [name for name in config.main_labels if name not in labels]
    if unknown:
        message = (
            f"{', '.join(unknown)}: no such label; the table has {', '.join(labels) or 'none'}"
        )
        raise InputError(Problem("conditioning.main_labels", message))
    main = torch.tensor([name in config.main_labels for name in labels], dtype=torch.float32)
    others = len(labels) - len(config.main_labels)
    if not others or not config.main_labels:
        return torch.ones(len(labels))
    return main / len(config.main_labels) + (1 - main) / others
