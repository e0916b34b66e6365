import csv
from pathlib import Path

import numpy as np
import pytest

from foldwright.data.clusters import SplitSettings
from foldwright.data.legacy import ImportReport, import_genie_data, read_coordinates, read_names
from foldwright.data.store import ChainStore
from foldwright.runtime.errors import InputError
from tests.data.sample_chains import helix_ca, with_peptide_atoms

NO_SPLIT = SplitSettings(validation_fraction=0, test_fraction=0)


def rows_of(length: int) -> np.ndarray:
    """N, CA, C of each residue, one below the other."""
    return with_peptide_atoms(helix_ca(length))[:, :3].reshape(-1, 3)


def write_text(path: Path, rows: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        np.savetxt(file, rows, delimiter=",", fmt="%.3f")
    return path


def run(folder: Path, out: Path, names: Path | None = None) -> ImportReport:
    return import_genie_data(folder, out, splits=NO_SPLIT, names=names)


def rejects(store: Path) -> dict[str, str]:
    with (store / "rejects.csv").open(newline="") as file:
        return {row["chain"]: row["rule"] for row in csv.DictReader(file)}


@pytest.fixture
def coords(tmp_path: Path) -> Path:
    """A data set with every kind of file, good and bad."""
    folder = tmp_path / "coords"
    write_text(folder / "d1asha_.npy", rows_of(30))
    write_text(folder / "sub/d2asha_.csv", rows_of(20))
    np.save(folder / "binary.npy", rows_of(25))
    write_text(folder / "two_columns.npy", rows_of(10)[:, :2])
    write_text(folder / "cut_off.npy", rows_of(10)[:-1])
    write_text(folder / "ca_only.npy", helix_ca(30))
    write_text(folder / "nanometres.npy", rows_of(10) / 10)
    (folder / "words.npy").write_text("N, CA, C\n")
    (folder / "empty.npy").write_text("")
    holed = rows_of(12)
    holed[4] = np.nan
    write_text(folder / "no_ca.npy", holed)
    return folder


def test_a_data_set_with_good_and_bad_files(coords: Path, tmp_path: Path) -> None:
    report = run(coords, tmp_path / "store")
    store = ChainStore.open(tmp_path / "store")
    assert dict(zip(store.names, store.lengths.tolist(), strict=True)) == {
        "binary": 25,
        "d1asha_": 30,
        "d2asha_": 20,
    }
    assert rejects(tmp_path / "store") == {
        "two_columns": "wrong-shape",
        "cut_off": "wrong-shape",
        "ca_only": "not-backbone",
        "nanometres": "not-backbone",
        "words": "unreadable",
        "empty": "unreadable",
        "no_ca": "missing-ca",
    }
    assert (report.files, report.chains, report.residues) == (10, 3, 75)


def test_rows_are_n_ca_c(coords: Path, tmp_path: Path) -> None:
    run(coords, tmp_path / "store")
    store = ChainStore.open(tmp_path / "store")
    chain = store[store.names.index("d1asha_")]
    assert np.allclose(chain.backbone[:, :3].reshape(-1, 3), rows_of(30), atol=6e-4)
    assert np.isnan(chain.backbone[:, 3]).all()
    assert chain.sequence == "X" * 30
    assert chain.residue_numbers.tolist() == list(range(1, 31))
    assert store.column("helix")[store.names.index("d1asha_")] > 0.7


def test_a_name_list_chooses_and_orders(coords: Path, tmp_path: Path) -> None:
    names = coords / "dataset.txt"
    names.write_text("d2asha_\n\ncoords/d1asha_.npy\nd9absent_\nd2asha_\n")
    report = run(coords, tmp_path / "store", names)
    assert ChainStore.open(tmp_path / "store").names == ("d2asha_", "d1asha_")
    assert rejects(tmp_path / "store") == {"d9absent_": "no-file"}
    assert report.files == 3


def test_missing_n_or_c_stays_missing(tmp_path: Path) -> None:
    rows = rows_of(10)
    rows[5, 1] = np.nan  # one coordinate of C of the second residue
    backbone = read_coordinates(write_text(tmp_path / "a.npy", rows))
    assert isinstance(backbone, np.ndarray)
    assert np.isnan(backbone[1, 2]).all()
    assert np.isfinite(np.delete(backbone[:, :3].reshape(-1, 3), 5, axis=0)).all()


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="unreadable: rejected 1 times"):
        run(tmp_path, tmp_path / "store")


def test_bad_folders_and_lists(coords: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        run(tmp_path / "absent", tmp_path / "store")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no coordinate files"):
        run(tmp_path / "nothing", tmp_path / "store")
    (tmp_path / "names").write_text("\n\n")
    with pytest.raises(InputError, match="holds no names"):
        read_names(tmp_path / "names")
    write_text(coords / "sub/d1asha_.npy", rows_of(5))
    with pytest.raises(InputError, match="has the name of "):
        run(coords, tmp_path / "store")
