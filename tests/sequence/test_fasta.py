"""FASTA files: round trips, and every fault by its line."""

import pytest

from foldwright.runtime.errors import InputError
from foldwright.sequence.fasta import FastaRecord, read_fasta, write_fasta

RECORDS = [
    FastaRecord("p1", "ACDEF" * 40, "of a frog|antimicrobial"),
    FastaRecord("p2|antiviral", "kk"),
]


@pytest.mark.parametrize("name", ["a.fasta", "a.fa.gz"])
def test_records_come_back(tmp_path, name) -> None:
    path = tmp_path / name
    write_fasta(RECORDS, path)
    found = read_fasta(path)
    assert found == RECORDS
    assert [record.line for record in found] == [1, 5]
    again = tmp_path / f"again_{name}"
    write_fasta(found, again)
    assert again.read_bytes() == path.read_bytes()


def test_blank_lines_and_windows_line_ends(tmp_path) -> None:
    path = tmp_path / "a.fasta"
    path.write_bytes(b"\r\n>a  b c\r\nAC\r\n\r\nDE\r\n")
    assert read_fasta(path) == [FastaRecord("a", "ACDE", "b c")]


def test_all_faults_are_named_by_line(tmp_path) -> None:
    path = tmp_path / "a.fasta"
    path.write_text("ACD\n>\nAC\n>b\n>c\nA-C\n>d\nAC*\n")
    with pytest.raises(InputError) as caught:
        read_fasta(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].rpartition(" ")[2] for line in lines] == ["1", "2", "4", "6", "8"]
    assert "before the first header" in lines[0]
    assert "header without a name" in lines[1]
    assert "record b has no sequence" in lines[2]
    assert "found '-'" in lines[3]


def test_files_that_are_no_fasta(tmp_path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_fasta(tmp_path / "none.fasta")
    (tmp_path / "a.fasta.gz").write_bytes(b">a\nAC\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_fasta(tmp_path / "a.fasta.gz")
    (tmp_path / "empty.fasta").write_text("\n")
    with pytest.raises(InputError, match="holds no sequence"):
        read_fasta(tmp_path / "empty.fasta")
    (tmp_path / "binary.fasta").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        read_fasta(tmp_path / "binary.fasta")
