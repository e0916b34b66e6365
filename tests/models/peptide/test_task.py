"""Batches, the task, and learning on a store of random peptides."""

import numpy as np
import pytest
import torch

from foldwright.models.peptide.batches import PeptideBatchConfig, PeptideSource, length_counts
from foldwright.models.peptide.conditioning import ConditioningConfig
from foldwright.models.peptide.config import PeptideLossConfig
from foldwright.models.peptide.task import PeptideTask, set_latent_statistics
from foldwright.runtime.errors import InputError
from foldwright.training.task import Task
from tests.models.peptide.small_peptide_models import (
    LABELS,
    make_peptide_store,
    small_model,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return make_peptide_store(tmp_path_factory.mktemp("peptides") / "store")


def names(source: PeptideSource, epoch: int) -> list[str]:
    return [name for batch in source(epoch) for name in batch.names]


def test_an_epoch_has_every_active_peptide_and_a_draw_of_the_others(store) -> None:
    members = store.split("train")
    active = {
        store.sequence(int(i)) for i in members if bool((np.array(store.labels[i]) == 1).any())
    }
    others = {store.sequence(int(i)) for i in members} - active
    source = PeptideSource(store, "train", PeptideBatchConfig(other_share=0.1), seed=0)
    epochs = [names(source, epoch) for epoch in range(6)]
    wanted = round(len(active) * 0.1 / 0.9)
    assert len(source) == len(active) + wanted
    for found in epochs:
        assert len(found) == len(set(found)) == len(source)
        assert active <= set(found)
    drawn = [frozenset(set(found) & others) for found in epochs]
    assert len(set(drawn)) > 1
    assert names(source, 3) == epochs[3]
    whole = PeptideSource(store, "train", PeptideBatchConfig(), seed=0)
    assert set(names(whole, 0)) == active | others


def test_batches_hold_what_the_store_holds(store) -> None:
    config = PeptideBatchConfig(max_tokens=64, structures=True)
    with_structure = 0
    for batch in PeptideSource(store, "train", config, seed=0)(0):
        assert batch.tokens.numel() <= 64
        for row, name in enumerate(batch.names):
            index = [store.sequence(i) for i in range(len(store))].index(name)
            assert batch.mask[row].sum() == len(name)
            assert batch.labels[row].tolist() == store.labels[index].tolist()
            known = store.structure(index) is not None
            assert bool(batch.structure is not None and batch.structure.mask[row].any()) == known
            assert bool((batch.secondary[row] > 0).any()) == known
            with_structure += known
    assert with_structure > 3


def test_lengths_are_counted_by_label(store) -> None:
    counts = length_counts(store, 16)
    members = store.split("train")
    assert counts.shape == (len(LABELS) + 1, 17)
    assert counts[-1].sum() == len(members)
    assert counts[0].sum() == int((store.labels[members][:, 0] == 1).sum())
    length = int(store.lengths[members[0]])
    assert counts[-1, length] == int((store.lengths[members] == length).sum())
    with pytest.raises(InputError, match="residues, more than max_length=9"):
        length_counts(store, 9)


def test_splits_and_labels_that_are_not_there(store) -> None:
    with pytest.raises(InputError, match=r"no peptide of the split test \(found: train 24, val 8"):
        PeptideSource(store, "test", PeptideBatchConfig(), seed=0)


def test_the_task_learns_and_its_draws_are_repeatable(store) -> None:
    model = small_model()
    peptides = PeptideBatchConfig(other_share=0.15, structures=True)
    task = PeptideTask(model, store, peptides, ConditioningConfig(), PeptideLossConfig(), seed=0)
    assert isinstance(task, Task)
    set_latent_statistics(model, task.training_batches(0))
    batches = list(task.training_batches(0))
    latents = torch.cat([model.encode(b.tokens, b.mask)[b.mask] for b in batches])
    assert float(latents.mean(0).abs().max()) < 1e-4
    assert float((latents.std(0, correction=0) - 1).abs().max()) < 1e-3
    for module in (model.denoiser, model.decoder):
        for parameter in module.parameters():
            parameter.data.mul_(0.3)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)

    def total() -> float:
        generators = (torch.Generator().manual_seed(k) for k in range(len(batches)))
        with torch.no_grad():
            return sum(
                task.loss(batch, generator).total.item()
                for batch, generator in zip(batches, generators, strict=True)
            )

    before = total()
    assert total() == before
    for step in range(40):
        for batch in batches:
            report = task.loss(batch, torch.Generator().manual_seed(1000 + step))
            optimiser.zero_grad()
            report.total.backward()
            optimiser.step()
    assert total() < 0.8 * before
    assert set(report.parts) == {"error", "residue", "decoder"}
    assert task.loss_weight(batches[0]) == float(batches[0].mask.sum())


def test_weights_of_residues_rise_over_epochs(store) -> None:
    config = PeptideLossConfig(residue_weight=0.5, decoder_weight=0.25, rise_epochs=4)
    model = small_model().train()
    task = PeptideTask(
        model, store, PeptideBatchConfig(), ConditioningConfig(main_labels=()), config, seed=0
    )
    for epoch, share in ((0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)):
        batch = task.training_batches(epoch)[0]
        report = task.loss(batch, torch.Generator().manual_seed(0))
        parts = report.parts
        residues = 0.5 * parts["residue"] + 0.25 * parts["decoder"]
        torch.testing.assert_close(report.total, parts["error"] + share * residues)
    model.eval()  # validations of all epochs measure the same
    report = task.loss(task.validation_batches()[0], torch.Generator().manual_seed(0))
    residues = 0.5 * report.parts["residue"] + 0.25 * report.parts["decoder"]
    torch.testing.assert_close(report.total, report.parts["error"] + residues)
