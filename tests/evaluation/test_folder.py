import gzip
import shutil
from pathlib import Path

import pytest

from foldwright.evaluation.folder import FolderEvaluation, evaluate_folder, find_structure_files
from foldwright.runtime.errors import InputError
from foldwright.structure.io import write_structure
from foldwright.structure.records import Structure
from tests.evaluation.conftest import build_trace, chain_of, write_trace


def test_a_damaged_file_stops_nothing(evaluation: FolderEvaluation):
    assert [design.scores.name for design in evaluation.designs] == ["mirror <i>&'", "one", "two"]
    assert [failure.file for failure in evaluation.failures] == ["damaged.pdb"]
    assert "holds no ATOM or HETATM lines" in evaluation.failures[0].reason
    assert "\n" not in evaluation.failures[0].reason


def test_of_two_formats_one_is_read(evaluation: FolderEvaluation):
    assert [design.file for design in evaluation.designs][1:] == ["one.cif", "two.cif"]


def test_files_are_found_at_any_depth_but_not_hidden_ones(tmp_path: Path):
    for name in (
        "b/deep/x.pdb",
        "a.cif.gz",
        ".partial-1-y.pdb",
        ".trash/z.pdb",
        "run.json",
        "C.PDB",
        "c.ent",
        "b/x.bcif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "folder.pdb").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_structure_files(tmp_path)]
    assert found == ["C.PDB", "a.cif.gz", "b/deep/x.pdb", "b/x.bcif", "c.ent"]


def test_gzipped_and_plain_files_score_the_same(tmp_path: Path):
    write_trace(tmp_path / "plain.pdb", build_trace(50))
    (tmp_path / "zipped.pdb.gz").write_bytes(gzip.compress((tmp_path / "plain.pdb").read_bytes()))
    plain, zipped = evaluate_folder(tmp_path).designs
    assert plain.scores.trace == zipped.scores.trace
    assert zipped.scores.name == "zipped"


def test_every_protein_chain_is_a_design(tmp_path: Path):
    chains = (chain_of(build_trace(50)), chain_of(build_trace(60), "B"))
    write_structure(Structure("pair", chains), tmp_path / "pair.cif")
    found = evaluate_folder(tmp_path).designs
    assert [(d.scores.name, d.scores.length) for d in found] == [("pair_A", 50), ("pair_B", 60)]


def test_a_file_without_protein_is_a_failure(tmp_path: Path, shared_data: Path):
    shutil.copy(shared_data / "files" / "304d.pdb", tmp_path)
    found = evaluate_folder(tmp_path)
    assert found.designs == ()
    assert "no protein chain to score" in found.failures[0].reason


def test_a_chain_that_is_too_short_is_a_failure(tmp_path: Path):
    write_trace(tmp_path / "short.pdb", build_trace(4))
    assert "scores need at least 5" in evaluate_folder(tmp_path).failures[0].reason


def test_there_must_be_a_folder_with_files(tmp_path: Path):
    with pytest.raises(InputError, match="holds no structure files"):
        evaluate_folder(tmp_path)
    with pytest.raises(InputError, match=r"nothing: is not a folder"):
        evaluate_folder(tmp_path / "nothing")
