"""What the classifier learns from: which cells, which peptides, and with which weight."""

import numpy as np
import pytest
import torch

from foldwright.data.peptide_store import PeptideStore, write_peptide_store
from foldwright.data.peptide_table import PeptideTable
from foldwright.models.peptide.classifier import HIDDEN_TOKEN, ActivityClassifier, ClassifierConfig
from foldwright.models.peptide.classifier_task import (
    ClassifierDataConfig,
    ClassifierTask,
    learnable_labels,
)
from foldwright.runtime.errors import InputError
from foldwright.runtime.seeds import make_generator
from foldwright.sequence.residues import decode_sequence
from foldwright.training.task import Task

# sequence, split, cluster, active, rare
ROWS = (
    ("KLAKLAK", "train", "a", 1, 1),
    ("KLAKLAR", "train", "a", 1, -1),
    ("KLAKLKK", "train", "a", 1, -1),
    ("KLAKLRK", "train", "a", 0, -1),
    ("MDDEDEDD", "train", "b", 0, 0),
    ("MSSGSTSG", "train", "c", 0, -1),
    ("GGSGGSG", "train", "d", -1, -1),
    ("SSGSTSG", "val", "e", 0, -1),
    ("KKLLKKL", "val", "f", 1, 0),
    ("KKLLKKG", "test", "g", 1, -1),
)
DATA = ClassifierDataConfig(least_examples=1, hidden_share=0.5)


@pytest.fixture
def store(tmp_path) -> PeptideStore:
    sequences, split, cluster, *columns = zip(*ROWS, strict=True)
    table = PeptideTable(
        sequences, np.array(columns, dtype=np.int8).T, ("active", "rare"), split, cluster
    )
    write_peptide_store(table, tmp_path / "store", source="written here")
    return PeptideStore.open(tmp_path / "store")


def make_task(store: PeptideStore, data: ClassifierDataConfig = DATA) -> ClassifierTask:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = ActivityClassifier(
            ClassifierConfig(channels=8, hidden=8, dropout=0), store.label_names
        )
    return ClassifierTask(model, store, data, seed=4)


def test_labels_without_both_kinds_are_left_out_with_the_reason(store):
    kept, missing = learnable_labels(store, ClassifierDataConfig(least_examples=2))
    assert kept == ("active",)
    assert missing == {"rare": "1 peptides with a 1 and 1 with a 0 to learn from"}
    with pytest.raises(InputError, match="has no label with 9 ones and zeros"):
        learnable_labels(store, ClassifierDataConfig(least_examples=9))


def test_it_trains_on_labelled_peptides_of_train_that_are_nowhere_else(store):
    task = make_task(store)
    assert isinstance(task, Task)
    # GGSGGSG has no label; MSSGSTSG is without its M a peptide of the split val
    assert sorted(task.training_batches.sequences) == [
        "DDEDEDD",
        "KLAKLAK",
        "KLAKLAR",
        "KLAKLKK",
        "KLAKLRK",
    ]
    assert task.num_peptides == {"train": 5, "val": 2}
    assert task.num_known == {"active": (3, 2), "rare": (1, 1)}


def test_an_epoch_has_every_peptide_once_and_epochs_differ(store):
    task = make_task(store, ClassifierDataConfig(least_examples=1, max_batch=2))
    first, again, other = (
        [name for batch in task.training_batches(epoch) for name in batch.names]
        for epoch in (0, 0, 1)
    )
    assert first == again != other
    assert sorted(first) == sorted(other)
    assert len(set(first)) == 5


def test_the_loss_is_the_weighted_mean_over_known_cells_only(store):
    task = make_task(store)
    task.module.eval()
    batch = task.training_batches(0)[0]
    with torch.no_grad():
        found = task.loss(batch, make_generator(0))
        chances = task.module(batch.tokens, batch.mask).sigmoid()
    total = weights = 0.0
    for row in range(5):
        family = {"KLA": 4, "DDE": 1}[_letters(batch.tokens[row])]
        # 5 cells of active, 2 of rare
        for column, rarity in ((0, 1.0), (1, (5 / 2) ** 0.5)):
            label = int(batch.labels[row, column])
            if label >= 0:
                chance = float(chances[row, column])
                weight = rarity / family**0.5
                total -= weight * float(np.log(chance if label else 1 - chance))
                weights += weight
    assert float(found.total) == pytest.approx(total / weights, rel=1e-5)
    assert task.loss_weight(batch) == pytest.approx(weights, rel=1e-6)


def test_residues_are_hidden_in_training_alone_and_by_the_generator(store):
    task = make_task(store)
    batch = task.training_batches(0)[0]
    seen: list[torch.Tensor] = []
    task.module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for training, seed in ((True, 1), (True, 1), (True, 2), (False, 1)):
        task.module.train(training)
        task.loss(batch, make_generator(seed))
    hidden = [(tokens == HIDDEN_TOKEN).float().mean().item() for tokens in seen]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert 0.2 < hidden[0] < 0.8
    assert torch.equal(seen[3], batch.tokens)


def test_rare_labels_weigh_no_more_than_the_limit(store):
    limit = ClassifierDataConfig(least_examples=1, largest_label_weight=1.1)
    free, limited = make_task(store), make_task(store, limit)
    batch = free.training_batches(0)[0]
    rare_cells = 0.5 + 1.0  # of KLAKLAK in its family of four, and DDEDEDD
    difference = free.loss_weight(batch) - limited.loss_weight(batch)
    assert difference == pytest.approx(rare_cells * ((5 / 2) ** 0.5 - 1.1), rel=1e-5)


def _letters(tokens: torch.Tensor) -> str:
    return decode_sequence(tokens[:3].tolist())
