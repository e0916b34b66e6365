"""What weights remember of training peptides: exactly which, and through files."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from foldwright.models.peptide.seen_peptides import SeenPeptides
from foldwright.models.peptide.weights import load_peptide_weights, save_peptide_weights
from tests.models.peptide.small_peptide_models import make_peptide_store, small_model

LABELS = np.array([[1, 0], [0, 0], [-1, 1]], dtype=np.int8)


def test_exactly_the_training_peptides_are_held() -> None:
    seen = SeenPeptides.build(["KLLKL", "ACDEF", "KLLKL"], LABELS)
    assert [seen.holds(one) for one in ("KLLKL", "ACDEF", "KLLKI", "KLLK", "KLLKLL")] == [
        *(True, True),
        *(False,) * 3,
    ]
    assert seen.inactive.tolist() == [1, 2]
    assert len(seen.digests) == 2


def test_digests_are_the_first_bytes_of_sha256() -> None:
    seen = SeenPeptides.build(["KLLKL"], LABELS[:1])
    wanted = hashlib.sha256(b"KLLKL").digest()[:8]
    assert seen.digests.numpy().astype(">i8").tobytes() == wanted


def test_every_peptide_of_the_split_train_and_no_other(tmp_path: Path) -> None:
    store = make_peptide_store(tmp_path / "store")
    seen = SeenPeptides.of_store(store)
    held = [seen.holds(store.sequence(i)) for i in range(len(store))]
    assert held == [i in set(store.split("train").tolist()) for i in range(len(store))]
    assert 0 < sum(held) < len(store)
    assert (seen.inactive.numpy() == (store.labels[store.split("train")] == 0).sum(0)).all()


def test_two_lists_together() -> None:
    one = SeenPeptides.build(["KLLKL", "ACDEF"], LABELS[:2])
    other = SeenPeptides.build(["ACDEF", "WWWWW"], LABELS[1:])
    both = one.join(other)
    assert len(both.digests) == 3
    assert all(both.holds(text) for text in ("KLLKL", "ACDEF", "WWWWW"))
    assert both.fingerprint() != one.fingerprint()
    assert both.fingerprint() == other.join(one).fingerprint()


def test_weights_bring_their_list_and_old_ones_have_none(tmp_path: Path) -> None:
    model = small_model()
    save_peptide_weights(model, tmp_path / "old.safetensors", provenance={})
    assert load_peptide_weights(tmp_path / "old.safetensors").seen is None
    model.seen = SeenPeptides.build(["KLLKL", "ACDEF"], LABELS[:2])
    save_peptide_weights(model, tmp_path / "new.safetensors", provenance={})
    found = load_peptide_weights(tmp_path / "new.safetensors")
    assert found.seen is not None
    assert torch.equal(found.seen.digests, model.seen.digests)
    assert torch.equal(found.seen.inactive, model.seen.inactive)
    assert not [name for name in found.state_dict() if name.startswith("seen")]
