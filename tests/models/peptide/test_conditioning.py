"""What the denoiser is told in training."""

import pytest
import torch

from foldwright.models.peptide.conditioning import ConditionDropper, ConditioningConfig
from foldwright.models.peptide.features import NUM_FEATURES, StructureFeatures
from foldwright.models.peptide.inputs import Condition
from foldwright.runtime.errors import InputError
from tests.models.peptide.small_peptide_models import LABELS

NUM = 8000


def told_of(config: ConditioningConfig, labels: torch.Tensor | None = None) -> torch.Tensor:
    known = torch.ones(NUM, len(LABELS), dtype=torch.int8) if labels is None else labels
    dropper = ConditionDropper(config, LABELS)
    condition = Condition(known, torch.zeros(NUM, 5, dtype=torch.int64))
    return dropper(condition, torch.Generator().manual_seed(0)).labels


def test_shares_of_labels_told() -> None:
    config = ConditioningConfig(drop_all=0.2, single_label=0.5, drop_label=0.25)
    told = told_of(config) == 1
    count = told.sum(1)
    # of four labels none is left by chance in 0.25^4 of the other 30 %
    assert abs(float((count == 0).float().mean()) - (0.2 + 0.3 * 0.25**4)) < 0.02
    assert abs(float((count == 4).float().mean()) - 0.3 * 0.75**4) < 0.02
    # told alone: the three main labels share one half, the other label has the other
    shares = told[count == 1].float().mean(0)
    assert abs(float(shares[3]) - 0.5) < 0.06


def test_whether_a_label_is_told_does_not_depend_on_its_value() -> None:
    config = ConditioningConfig()
    ones = told_of(config) != -1
    zeros = told_of(config, torch.zeros(NUM, len(LABELS), dtype=torch.int8)) != -1
    assert torch.equal(ones, zeros)
    unknown = told_of(config, torch.full((NUM, len(LABELS)), -1, dtype=torch.int8))
    assert bool((unknown == -1).all())


def test_nothing_dropped_is_everything_told() -> None:
    config = ConditioningConfig(
        drop_all=0, single_label=0, drop_label=0, drop_structure=0, drop_secondary=0
    )
    assert bool((told_of(config) == 1).all())


def test_structures_and_secondary_structures_are_dropped_whole() -> None:
    mask = torch.ones(NUM, 5, dtype=torch.bool)
    secondary = torch.full((NUM, 5), 2)
    features = StructureFeatures(torch.ones(NUM, 5, NUM_FEATURES), secondary, mask)
    labels = torch.ones(NUM, len(LABELS), dtype=torch.int8)
    config = ConditioningConfig(drop_structure=0.7, drop_secondary=0.4)
    dropper = ConditionDropper(config, LABELS)
    told = dropper(Condition(labels, secondary, features), torch.Generator().manual_seed(0))
    rows = told.structure.mask
    assert bool((rows.any(1) == rows.all(1)).all())
    assert abs(float(rows.any(1).float().mean()) - 0.3) < 0.02
    assert abs(float((told.secondary[:, 0] == 2).float().mean()) - 0.6) < 0.02
    all_gone = ConditionDropper(ConditioningConfig(drop_structure=1.0), LABELS)
    assert all_gone(Condition(labels, secondary, features), torch.Generator()).structure is None


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="antimicrobal: no such label; the table has"):
        ConditionDropper(ConditioningConfig(main_labels=("antimicrobal",)), LABELS)
    with pytest.raises(InputError, match="more than all peptides together"):
        ConditionDropper(ConditioningConfig(drop_all=0.6, single_label=0.6), LABELS)
