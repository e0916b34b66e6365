import csv

import numpy as np
import pytest

from foldwright.structure.secondary import secondary_structure


def test_an_ideal_helix_is_helix(ideal_backbone) -> None:
    states = secondary_structure(ideal_backbone(20, -57, -47)[:, 1])
    assert len(states) == 20
    assert states.strip("C") == "H" * len(states.strip("C"))
    assert states.count("H") >= 16


def test_an_ideal_strand_is_strand(ideal_backbone) -> None:
    states = secondary_structure(ideal_backbone(12, -120, 130)[:, 1])
    assert states.strip("C") == "E" * len(states.strip("C"))
    assert states.count("E") >= 8


def test_a_random_walk_is_coil() -> None:
    steps = np.random.default_rng(3).normal(size=(60, 3))
    ca = np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    assert secondary_structure(ca).count("C") > 50


def test_rotation_and_translation_change_nothing(ideal_backbone) -> None:
    ca = np.concatenate([ideal_backbone(15, -57, -47)[:, 1], ideal_backbone(15, -120, 130)[:, 1]])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    assert secondary_structure(ca @ turn.T + 30.0) == secondary_structure(ca)


def test_the_hand_of_a_helix_is_not_seen(ideal_backbone) -> None:
    """Known and documented: whoever needs the hand has to look at dihedral angles."""
    helix = ideal_backbone(20, -57, -47)[:, 1]
    assert secondary_structure(helix * [1.0, 1.0, -1.0]).count("H") >= 16


def test_nothing_spans_a_break(ideal_backbone) -> None:
    """Two helices far apart are what each is alone."""
    helix = ideal_backbone(12, -57, -47)[:, 1]
    both = np.concatenate([helix, helix + 100.0])
    assert secondary_structure(both) == 2 * secondary_structure(helix)


def test_a_small_gap_separates_too(ideal_backbone) -> None:
    """A strand pulled apart by 0.7 Å would still have a strand's distances across the break."""
    ca = ideal_backbone(16, -120, 130)[:, 1]
    ca[8:] += 0.7 * (ca[15] - ca[0]) / np.linalg.norm(ca[15] - ca[0])
    states = secondary_structure(ca)
    assert states == secondary_structure(ca[:8]) + secondary_structure(ca[8:])
    assert states == "CEEEEECCCEEEEECC"


def test_a_missing_ca_is_coil_and_separates(ideal_backbone) -> None:
    ca = ideal_backbone(21, -57, -47)[:, 1]
    ca[10] = np.nan
    states = secondary_structure(ca)
    assert states == secondary_structure(ca[:10]) + "C" + secondary_structure(ca[11:])


@pytest.mark.parametrize("length", range(7))
def test_short_chains(ideal_backbone, length: int) -> None:
    states = secondary_structure(ideal_backbone(length, -57, -47)[:, 1])
    assert len(states) == length
    assert length > 5 or states == "C" * length


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_agrees_with_the_reference_assignment(shared_data, split: str) -> None:
    """P-SEA of the shared chains, which was assigned on the same C-alpha."""
    folder = shared_data / "structures"
    arrays = np.load(folder / "chains_00.npz")
    with (folder / "index.csv").open() as handle:
        rows = [int(row["index"]) for row in csv.DictReader(handle) if row["split"] == split][:25]
    offsets, coords, states = arrays["offsets"], arrays["coords"], arrays["ss"]
    for row in rows:
        chain = slice(offsets[row], offsets[row + 1])
        assert secondary_structure(coords[chain, 1]) == bytes(states[chain]).decode()
