import gzip
from pathlib import Path

import pytest

from foldwright.evaluation.peptides.reading import is_peptide_file, read_peptides
from foldwright.runtime.errors import InputError


def test_fasta_with_lengths_asked_for(tmp_path: Path):
    path = tmp_path / "new.fasta.gz"
    path.write_bytes(
        gzip.compress(b">one length=4 labels=antimicrobial\nKLKL\n>two length=4\nKLK\n>three\nA\n")
    )
    content = read_peptides(path)
    assert [one.sequence for one in content.peptides] == ["KLKL", "KLK", "A"]
    assert content.valid == 1.0
    assert content.exact_length == 0.5
    assert is_peptide_file(path)


def test_bad_records_are_named_by_line_and_the_others_read(tmp_path: Path):
    path = tmp_path / "new.fasta"
    path.write_text(f">good\nKLKL\n>bad\nKLXL\n>long\n{'A' * 65}\n")
    content = read_peptides(path)
    assert [one.name for one in content.peptides] == ["good"]
    assert content.valid == pytest.approx(1 / 3)
    assert content.exact_length is None
    assert [str(problem) for problem in content.rejects] == [
        f"{path}, line 3: bad: residue 3 is 'X'; expected one of ACDEFGHIKLMNPQRSTVWY",
        f"{path}, line 5: long: has 65 residues; peptides of up to 64 are scored",
    ]


def test_csv_with_names_repeats_and_lengths_asked_for(tmp_path: Path):
    path = tmp_path / "new.csv"
    path.write_text("name, sequence ,requested_length\na,KLKL,4\nb,KLKL,5\nc,,4\n,KB,\n")
    content = read_peptides(path)
    assert [one.name for one in content.peptides] == ["a", "b"]
    assert content.exact_length == 0.5
    assert [problem.place for problem in content.rejects] == [f"{path}, line 4", f"{path}, line 5"]
    assert content.rejects[0].message == "c: has no residues"
    assert content.rejects[1].message.startswith("row 4: residue 2 is 'B'")


def test_files_without_a_peptide_are_refused(tmp_path: Path):
    path = tmp_path / "new.csv"
    path.write_text("peptide\nKLKL\n")
    with pytest.raises(InputError, match="has no column sequence; its header is: peptide"):
        read_peptides(path)
    path.write_text("sequence\nklkl\nKL*\n")
    with pytest.raises(InputError) as caught:
        read_peptides(path)
    assert [problem.place for problem in caught.value.problems] == [
        f"{path}, line 2",
        f"{path}, line 3",
    ]
    path.write_text("sequence\n")
    with pytest.raises(InputError, match="holds no peptide"):
        read_peptides(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_peptides(tmp_path / "absent.csv")


def test_structures_are_no_peptide_files():
    assert not is_peptide_file(Path("designs"))
    assert not is_peptide_file(Path("a.pdb.gz"))
    assert is_peptide_file(Path("A.FA"))
