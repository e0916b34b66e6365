import gzip
from pathlib import Path

import pytest

from foldwright.data.domain_lists import (
    ListedDomain,
    ResidueSpan,
    complete_spans,
    format_spans,
    parse_domain_line,
    parse_spans,
    read_domain_list,
)
from foldwright.runtime.errors import InputError

# Lines in the published forms; the CATH ones are the worked examples of its format description.
DIR_CLA = "d1dlwa_\t1dlw\tA:\ta.1.1.1\t14982\tcl=46456,cf=46457,px=14982"
SPLIT = "d1cd9.1\t1cd9\tA:1-107,B:-3-52A\tb.1.2.1\t1\tcl=1"
TWO_DOMAINS = "1cnsA  D02 F00  2  A    1 - A   87 -  A  146 - A  243 -  1  A   88 - A  145 -"
FRAGMENT = "1amg0  D02 F01  1  0    1 - 0  360 -  1  0  362 - 0  417 -  0  361 - 0  361 - (1)"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("A:", [("A", "", "")]),
        ("-", [("", "", "")]),
        ("1-57", [("", "1", "57")]),
        ("A:2-78,B:187-305", [("A", "2", "78"), ("B", "187", "305")]),
        ("A:-5--1", [("A", "-5", "-1")]),
        ("L:1H-14L", [("L", "1H", "14L")]),
        ("L:1(H)-14(L)", [("L", "1H", "14L")]),
        ("AA:,1:5-9", [("AA", "", ""), ("1", "5", "9")]),
    ],
)
def test_residue_ranges_are_read_and_written_back(text, spans):
    parsed = parse_spans(text)
    assert parsed == tuple(ResidueSpan(*span) for span in spans)
    assert parse_spans(format_spans(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "A", "A:5", "A:5-", "5-A", "A:1-2-3", ":"])
def test_what_is_no_residue_range_is_refused(text):
    with pytest.raises(ValueError, match="not a residue range"):
        parse_spans(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (DIR_CLA, [("d1dlwa_", "1dlw", "A:", "a.1.1.1")]),
        (SPLIT, [("d1cd9.1", "1cd9", "A:1-107,B:-3-52A", "b.1.2.1")]),
        (
            ">d1gkub1 c.37.1.16 (B:1-250) Reverse gyrase {Archaeoglobus (A:)}",
            [("d1gkub1", "1gku", "B:1-250", "c.37.1.16")],
        ),
        ("d1dlwa_", [("d1dlwa_", "1dlw", None, "")]),
        ("e1cd9.1a", [("e1cd9.1a", "1cd9", None, "")]),
        (
            "1oaiA00     1    10     8    10     1     1     1     1     1    59 1.000",
            [("1oaiA00", "1oai", "A:", "1.10.8.10")],
        ),
        (
            "1c7yA03     1    10     8    10     3     1     1     2     2    48 3.100",
            [("1c7yA03", "1c7y", None, "1.10.8.10")],
        ),
        ("1c7yA03", [("1c7yA03", "1c7y", None, "")]),
        ("3frhA01 v4_2_0 1.10.8.10 -1-56:A", [("3frhA01", "3frh", "A:-1-56", "1.10.8.10")]),
        (
            "1abcB02 putative 2.60.40.10 2-78:B,187-305:B",
            [("1abcB02", "1abc", "B:2-78,B:187-305", "2.60.40.10")],
        ),
        (
            TWO_DOMAINS,
            [("1cnsA01", "1cns", "A:1-87,A:146-243", ""), ("1cnsA02", "1cns", "A:88-145", "")],
        ),
        (FRAGMENT, [("1amg001", "1amg", "0:1-360", ""), ("1amg002", "1amg", "0:362-417", "")]),
        ("1oaiA D01 F00 1 A 561 - A 619 -", [("1oaiA00", "1oai", "A:561-619", "")]),
        ("1oaiA D01 F01 1 A -1 H A 9 L A 10 - A 11 - (2)", [("1oaiA01", "1oai", "A:-1H-9L", "")]),
    ],
)
def test_each_published_line_form_gives_its_domains(line, expected):
    found = parse_domain_line(line)
    assert [
        (d.name, d.pdb_id, d.spans and format_spans(d.spans), d.classification) for d in found
    ] == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello world", "has no known form"),
        ("1oaiA00  1-59", "counts residues along SEQRES"),
        ("1oaiA00 1 10 8", "not a residue range"),
        ("1oaiA00 1 10 8 10", "expected 0, 3 or 11"),
        ("1chmA D02 F00 1 A 2 - A 156 -", "ends before its last domain"),
        ("1chmA D01 F00 1 A 2 - B 156 -", "runs from chain A to chain B"),
        ("1chmA D01 F00 1 A x - A 156 -", "not a segment"),
        ("1chmA two domains", "not D<n> F<n>"),
        (">d1gkub1 c.37.1.16 no region", "no region"),
        ("d1dlwa_ 1dlw", "has 2 columns"),
    ],
)
def test_a_line_without_known_form_says_what_is_wrong(line, message):
    with pytest.raises(ValueError, match=message):
        parse_domain_line(line)


def test_a_list_is_read_without_comments_and_doubles_plain_or_gzipped(tmp_path: Path):
    text = f"# dir.cla.scope.txt\n\n{DIR_CLA}\n{DIR_CLA}\n{TWO_DOMAINS}\n"
    (tmp_path / "list.txt").write_text(text)
    (tmp_path / "list.txt.gz").write_bytes(gzip.compress(text.encode()))
    plain = read_domain_list(tmp_path / "list.txt")
    assert [domain.name for domain in plain] == ["d1dlwa_", "1cnsA01", "1cnsA02"]
    assert read_domain_list(tmp_path / "list.txt.gz") == plain


def test_sequences_of_a_fasta_file_are_not_domains(tmp_path: Path):
    path = tmp_path / "astral.fa"
    path.write_text(">d1dlwa_ a.1.1.1 (A:) globin\nslfeqlggqaavqavtaqfyaniqadatvatffngidmpnqt\n")
    assert [domain.name for domain in read_domain_list(path)] == ["d1dlwa_"]


def test_all_bad_lines_are_reported_together_with_their_numbers(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_text(f"nonsense\n{DIR_CLA}\nmore nonsense\n")
    with pytest.raises(InputError) as caught:
        read_domain_list(path)
    assert [problem.place for problem in caught.value.problems] == [f"{path}:1", f"{path}:3"]


@pytest.mark.parametrize(("name", "content"), [("a.txt", b"# only\n"), ("b.txt", b"\xff\xfe\x00")])
def test_a_file_without_domains_is_an_error(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"no domain found|cannot read"):
        read_domain_list(tmp_path / name)


def test_a_damaged_or_absent_list_is_one_clear_error(tmp_path: Path):
    (tmp_path / "list.gz").write_bytes(gzip.compress(DIR_CLA.encode())[:-9])
    for name in ("list.gz", "absent.txt"):
        with pytest.raises(InputError, match="cannot read the domain list"):
            read_domain_list(tmp_path / name)


def test_missing_ranges_come_from_a_table_and_are_never_made_up():
    listed = [
        ListedDomain("1cnsA01", "1cns", None, "1.2.3.4"),
        ListedDomain("9xyzA01", "9xyz", None),
        ListedDomain("d1dlwa_", "1dlw", (ResidueSpan("A", "1", "9"),)),
    ]
    completed = complete_spans(listed, parse_domain_line(TWO_DOMAINS) + parse_domain_line(DIR_CLA))
    assert [domain.spans and format_spans(domain.spans) for domain in completed] == [
        "A:1-87,A:146-243",
        None,
        "A:1-9",
    ]
    assert [domain.classification for domain in completed] == ["1.2.3.4", "", "a.1.1.1"]
