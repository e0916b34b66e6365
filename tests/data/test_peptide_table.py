"""Tables of peptides: all forms are read, and every bad row is named."""

import gzip
from pathlib import Path

import pytest

from foldwright.data.peptide_table import PeptideLimits, PeptideTable
from foldwright.runtime.errors import InputError

GOOD = """sequence,split,cluster,source,antimicrobial,hemolytic
KKLLKK,train,c1,a,1,0
ACDEF,val,c2,b,,
"""


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems_of(path: Path, **options) -> list[str]:
    with pytest.raises(InputError) as caught:
        PeptideTable.read(path, **options)
    return [str(problem) for problem in caught.value.problems]


def test_labels_are_one_zero_or_unknown(tmp_path) -> None:
    table = PeptideTable.read(write(tmp_path, GOOD))
    assert table.sequences == ("KKLLKK", "ACDEF")
    assert table.label_names == ("antimicrobial", "hemolytic")
    assert table.labels.tolist() == [[1, 0], [-1, -1]]
    assert (table.split, table.cluster) == (("train", "val"), ("c1", "c2"))
    assert len(table) == 2


def test_gzip_and_columns_left_out(tmp_path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"sequence,mass,toxic\nACDEF,612.3,1\n"))
    assert PeptideTable.read(path, ignore=["mass"]).label_names == ("toxic",)
    (problem,) = problems_of(path)
    assert "line 2: column mass has '612.3'; expected 1, 0 or nothing" in problem


def test_every_bad_row_is_named(tmp_path) -> None:
    rows = ["KKLLKK,1", "KKXLK,1", "", ",1", "ACD,0", "KKLLKK,0", "ACDEFG,2", "ACDEFGH"]
    path = write(tmp_path, "\n".join(["sequence,toxic", *rows, "A" * 51 + ",1"]))
    found = problems_of(path)
    wanted = [
        "line 3: residue 3 of KKXLK is 'X'; expected one of ACDEFGHIKLMNPQRSTVWY",
        "line 4: is empty",
        "line 5: has no sequence",
        "line 6: ACD has 3 residues; expected 5 to 50",
        "line 7: repeats the peptide KKLLKK of line 2",
        "line 8: column toxic has '2'; expected 1, 0 or nothing",
        "line 9: has 1 cells, the header 2",
        "line 10: AAAAAAAAAAAA... has 51 residues; expected 5 to 50",
    ]
    assert len(found) == len(wanted)
    assert all(part in problem for part, problem in zip(wanted, found, strict=True))
    kept = PeptideTable.read(path, skip_bad_rows=True)
    assert kept.sequences == ("KKLLKK",)
    assert [int(problem.place.rpartition(" ")[2]) for problem in kept.rejects] == list(range(3, 11))


def test_limits_are_the_users(tmp_path) -> None:
    path = write(tmp_path, "sequence\nACD\nACDEFG\n")
    limits = PeptideLimits(min_length=3, max_length=5)
    (problem,) = problems_of(path, limits=limits)
    assert "ACDEFG has 6 residues; expected 3 to 5" in problem


def test_faults_of_the_whole_file(tmp_path) -> None:
    assert (
        "has no column sequence; its header is: seq, toxic"
        in problems_of(write(tmp_path, "seq,toxic\nACDEF,1\n"))[0]
    )
    assert (
        "the column 'toxic' more than once"
        in problems_of(write(tmp_path, "sequence,toxic,toxic\nACDEF,1,1\n"))[0]
    )
    assert (
        "has no column 'weight' to leave out"
        in problems_of(write(tmp_path, "sequence\nACDEF\n"), ignore=["weight"])[0]
    )
    assert "holds no peptide" in problems_of(write(tmp_path, "sequence,toxic\n"))[0]
    assert "cannot be read" in problems_of(tmp_path / "none.csv")[0]
    # not even a reader that skips rows may return an empty table
    assert problems_of(write(tmp_path, "sequence\nXX\n"), skip_bad_rows=True)


def test_structdiff_classes_by_number_name_and_header(tmp_path) -> None:
    names = ("antimicrobial", "antifungal", "antiviral")
    numbers = write(tmp_path, "sequence,label\nKKLLKK,0\nACDEF,2\n", "numbers.csv")
    words = write(tmp_path, "id,sequence,peptide_type\n1,KKLLKK,Antimicrobial\n2,ACDEF,antiviral\n")
    fasta = write(tmp_path, ">a|antimicrobial\nKKLLKK\n>b|antiviral\nACDEF\n", "a.fasta")
    for path in (numbers, words, fasta):
        table = PeptideTable.read(path)
        assert table.label_names == names
        assert table.labels.tolist() == [[1, -1, -1], [1, -1, 1]]


def test_classes_that_are_missing_or_unknown(tmp_path) -> None:
    found = problems_of(write(tmp_path, "sequence,label\nKKLLKK,3\nACDEF,\nACDEG,antiviral\n"))
    assert "line 2: label is '3'; expected one of antimicrobial" in found[0]
    assert "line 3: label is missing" in found[1]
    assert len(found) == 2
    (problem,) = problems_of(write(tmp_path, ">a|antivirel\nACDEF\n>b\n", "a.fa"))[:1]
    assert "record b has no sequence" in problem
    (problem,) = problems_of(write(tmp_path, ">a|antivirel\nACDEF\n", "a.fa"))
    assert "line 1: type is 'antivirel'" in problem
    assert "did you mean antiviral?" in problem


@pytest.mark.slow
def test_the_shared_table(shared_data) -> None:
    table = PeptideTable.read(shared_data / "peptides/peptides.csv.gz")
    assert len(table) == 84347
    assert len(table.label_names) == 27
    assert table.split.count("test_iid") == 3104
    antifungal = table.labels[:, table.label_names.index("antifungal")]
    train = [number for number, name in enumerate(table.split) if name == "train"]
    assert (antifungal[train] == 1).sum() == 4773
    assert (antifungal[train] == 0).sum() == 1393
