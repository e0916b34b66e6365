from pathlib import Path

import pytest

from foldwright.data.fetch_ids import (
    StructureId,
    parse_structure_id,
    plan_targets,
    read_structure_ids,
)
from foldwright.runtime.errors import InputError


@pytest.mark.parametrize(
    ("text", "source", "entry", "chain"),
    [
        ("1abc", "pdb", "1abc", ""),
        ("1ABC", "pdb", "1abc", ""),
        ("1abc_A", "pdb", "1abc", "A"),
        ("1ABCa", "pdb", "1abc", "a"),
        ("6fsz_AA", "pdb", "6fsz", "AA"),
        ("4hhb.B", "pdb", "4hhb", "B"),
        ("4hhb:B", "pdb", "4hhb", "B"),
        ("pdb_00001abc", "pdb", "1abc", ""),
        ("pdb_00021abc_C", "pdb", "pdb_00021abc", "C"),
        ("P00520", "afdb", "AF-P00520-F1", ""),
        ("A0A024R1R8", "afdb", "AF-A0A024R1R8-F1", ""),
        ("p00520-2", "afdb", "AF-P00520-2-F1", ""),
        ("AF-Q8WZ42-F12", "afdb", "AF-Q8WZ42-F12", ""),
        ("AF-P00520-F1-model_v4.cif", "afdb", "AF-P00520-F1", ""),
    ],
)
def test_identifiers_in_use_are_understood(text, source, entry, chain):
    assert parse_structure_id(text) == StructureId(source, entry, chain)


@pytest.mark.parametrize("text", ["abcd", "1ab", "P0052", "1abc_ABCDE", "../1abc", "1abc/x", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="neither a PDB id"):
        parse_structure_id(text)


def test_lists_take_comments_commas_doubles_and_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "ids.txt"
    path.write_text("\ufeff1abc, 2xyz_B;3def\n# 9zzz\n1ABC  # again\n\nP00520\t1abcA\n")
    found = read_structure_ids(["2xyz_B", "4hhb,5pti"], [path])
    assert [(wanted.entry, wanted.chain) for wanted in found] == [
        ("2xyz", "B"),
        ("4hhb", ""),
        ("5pti", ""),
        ("1abc", ""),
        ("3def", ""),
        ("AF-P00520-F1", ""),
        ("1abc", "A"),
    ]


def test_all_bad_words_are_reported_with_their_places(tmp_path: Path):
    path = tmp_path / "ids.txt"
    path.write_text("1abc\nwhat is\n")
    with pytest.raises(InputError) as caught:
        read_structure_ids(["oops"], [path, tmp_path / "absent.txt"])
    places = [problem.place for problem in caught.value.problems]
    assert sorted(places) == sorted(
        ["command line", f"{path}:2", f"{path}:2", str(tmp_path / "absent.txt")]
    )


@pytest.mark.parametrize(
    ("file_format", "pdb_url", "pdb_file", "afdb_file"),
    [
        ("cif", "https://files.rcsb.org/download/1abc.cif.gz", "1abc.cif.gz", "cif"),
        ("bcif", "https://models.rcsb.org/1abc.bcif.gz", "1abc.bcif.gz", "bcif"),
        ("pdb", "https://files.rcsb.org/download/1abc.pdb.gz", "1abc.pdb.gz", "pdb"),
    ],
)
def test_default_addresses_by_format(file_format, pdb_url, pdb_file, afdb_file):
    ids = read_structure_ids(["1abc", "P00520"])
    pdb, afdb = plan_targets(ids, file_format=file_format, afdb_version=4)
    assert (pdb.id, pdb.url, pdb.file) == ("1abc", pdb_url, pdb_file)
    assert afdb.file == f"AF-P00520-F1-model_v4.{afdb_file}"
    assert afdb.url == f"https://alphafold.ebi.ac.uk/files/{afdb.file}"


def test_several_chains_of_one_entry_are_one_file():
    targets = plan_targets(read_structure_ids(["1abc_A", "1abc_B", "1ABC"]))
    assert [target.id for target in targets] == ["1abc"]


@pytest.mark.parametrize(
    ("template", "url", "file"),
    [
        ("http://mirror/{middle}/{id}.cif.gz", "http://mirror/ab/1abc.cif.gz", "1abc.cif.gz"),
        ("http://mirror/{id}.{format}", "http://mirror/1abc.cif", "1abc.cif"),
        ("http://mirror/folder/", "http://mirror/folder/1abc.cif.gz", "1abc.cif.gz"),
        ("http://mirror/get?id={id}", "http://mirror/get?id=1abc", "1abc.cif"),
    ],
)
def test_templates_and_folders_replace_the_default_server(template, url, file):
    (target,) = plan_targets(read_structure_ids(["1abc"]), pdb_url=template)
    assert (target.url, target.file) == (url, file)


@pytest.mark.parametrize(
    "template",
    ["file:///etc/{id}", "ftp://host/{id}", "mirror/{id}", "http://{host}/{id}", "http:///{id}"],
)
def test_a_template_that_cannot_be_fetched_from_is_refused(template):
    with pytest.raises(InputError, match="address template"):
        plan_targets(read_structure_ids(["1abc"]), pdb_url=template)
