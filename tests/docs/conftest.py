"""A folder in which every name that the pages use stands for something small."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from foldwright.cli.main import main
from foldwright.data.store import ChainStore
from foldwright.structure.io import write_structure
from foldwright.structure.records import Structure
from tests.cli.test_train import TINY
from tests.data.sample_chains import helix_ca, helix_chain, with_peptide_atoms, write_chains
from tests.models.backbone.test_genie_configuration import PUBLISHED

CONFIG = {
    "store": "store",
    "genie": {**TINY, "max_length": 48},
    "diffusion": {"num_steps": 20},
    "chains": {"max_batch": 2},
    "training": {"max_steps": 1, "log_every": 1, "validate_every": 1, "device": "cpu"},
}


@pytest.fixture(scope="package")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Structures, a store, a training run and its weights, under the names of the pages."""
    folder = tmp_path_factory.mktemp("pages")
    for number in range(9):
        write_chains(folder / f"raw/p{number}.cif", helix_chain(40 + number, seed=number))
    chain = helix_chain(45)
    shutil.copytree(folder / "raw", folder / "scope")
    row = "d1abca_,1abc,p3.cif,A,A:1-43,a.1.1.1\n"
    heading = "name,pdb_id,file,chains,ranges,classification\n"
    (folder / "scope/domains.csv").write_text(heading + row)
    _write_peptides(folder)
    for name in ("5pti.cif", "4hhb.cif.gz", "design.cif", "designs/one.pdb", "designs/two.cif"):
        (folder / name).parent.mkdir(exist_ok=True)
        write_structure(Structure("made", (chain,)), folder / name)
    _write_genie_data(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    before = Path.cwd()
    os.chdir(folder)
    try:
        words = "data prepare raw --out store --validation-fraction 0.4 --test-fraction 0"
        assert main(words.split()) == 0
        assert len(ChainStore.open(Path("store")).split("val")) > 0
        assert main(["train", "backbone", "config.yaml", "--out", "runs/small"]) == 0
    finally:
        os.chdir(before)
    for suffix in (".safetensors", ".json"):
        shutil.copy(folder / f"runs/small/last{suffix}", folder / f"small{suffix}")
    return folder


@pytest.fixture
def workplace(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared folder, which is the current one."""
    copy = tmp_path / "here"
    shutil.copytree(prepared, copy)
    monkeypatch.chdir(copy)
    return copy


def _write_genie_data(folder: Path) -> None:
    """A data set and a settings file as the original Genie has them."""
    (folder / "data/scope/coords").mkdir(parents=True)
    rows = with_peptide_atoms(helix_ca(45))[:, :3].reshape(-1, 3)
    with (folder / "data/scope/coords/d1asha_.npy").open("w") as file:
        np.savetxt(file, rows, delimiter=",")
    (folder / "dataset.txt").write_text("d1asha_\n")
    (folder / "runs/mine").mkdir(parents=True)
    text = f"{PUBLISHED}numEpoches 1\nbatchSize 4\n"
    for path in (folder / "configuration", folder / "runs/mine/configuration"):
        path.write_text(text)


def _write_peptides(folder: Path) -> None:
    """New peptides, a table of real ones, and a predicted structure."""
    (folder / "peptides").mkdir()
    for name in ("new.fasta", "peptides/peptides.fasta"):
        (folder / name).write_text(">one length=8\nKLAKLAKK\n>two\nGIGKFLHSAKKFGK\n")
    (folder / "new.csv").write_text("name,sequence\none,KLAKLAKK\n")
    table = b"sequence,split,antimicrobial\nKLAKLAKR,train,1\nGIGKFLHS,test_iid,1\n"
    (folder / "table.csv").write_bytes(table)
    (folder / "table.csv.gz").write_bytes(gzip.compress(table))
    np.savez(
        folder / "structures.npz",
        sequence=np.array(["KLAKLAKK"]),
        offset=np.array([0, 8]),
        coords_centiangstrom=np.zeros((8, 14, 3), dtype=np.int16),
        atom_mask=np.ones((8, 14), dtype=bool),
        plddt_ca=np.full(8, 80, dtype=np.float32),
    )
