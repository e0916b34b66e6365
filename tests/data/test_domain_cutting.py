"""Domains of a fetch: which residues become a chain of the store, and why others do not."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foldwright.data.clusters import SplitSettings
from foldwright.data.domain_cutting import cut_domain, read_domain_table
from foldwright.data.domain_lists import ListedDomain, parse_spans
from foldwright.data.fetch_manifest import write_domain_table
from foldwright.data.filters import FilterSettings, Rejection
from foldwright.data.prepare import PrepareReport, prepare_store
from foldwright.data.store import ChainStore
from foldwright.runtime.errors import InputError
from foldwright.structure.records import Chain
from tests.data.sample_chains import folder_bytes, helix_chain, write_chains


def domain(name: str, pdb_id: str, ranges: str | None) -> ListedDomain:
    return ListedDomain(name, pdb_id, None if ranges is None else parse_spans(ranges))


def numbered(length: int, first: int, chain_id: str = "A") -> Chain:
    """A helix whose residues are numbered from `first`, with the third as 2A of the second."""
    chain = helix_chain(length, chain_id=chain_id)
    numbers = np.arange(first, first + length)
    codes = np.full(length, "", dtype="U1")
    numbers[2], codes[2] = numbers[1], "A"
    return replace(chain, residue_numbers=numbers, insertion_codes=codes)


@pytest.mark.parametrize(
    ("ranges", "rows"),
    [
        ("A:", range(10)),
        ("A:-3-1", range(5)),
        ("A:-2A-2", range(2, 6)),
        ("A:3-6,A:-3--2", [6, 7, 8, 9, 0, 1]),
    ],
)
def test_ranges_are_author_numbers_with_both_ends(ranges: str, rows: list[int]) -> None:
    chain = numbered(10, -3)
    cut = cut_domain(domain("d", "1abc", ranges), [helix_chain(5, chain_id="B"), chain])
    assert isinstance(cut, Chain)
    np.testing.assert_array_equal(cut.backbone(), chain.backbone()[list(rows)])
    assert cut.sequence == "".join(chain.sequence[row] for row in rows)


@pytest.mark.parametrize(
    ("ranges", "rule", "reason"),
    [
        (None, "no-ranges", "gives no residue ranges"),
        ("C:", "no-residues", "no protein chain 'C', found 'A', 'B'"),
        ("A:1-99", "no-residues", "chain 'A' has no residues A:1-99"),
        ("A:-1-5", "no-residues", "chain 'A' has no residues A:-1-5"),
        ("A:5-1", "no-residues", "chain 'A' has no residues A:5-1"),
        ("A:1-5,B:8-9", "no-residues", "chain 'B' has no residues B:8-9"),
    ],
)
def test_what_is_not_there_is_said(ranges: str | None, rule: str, reason: str) -> None:
    chains = [numbered(10, -3), helix_chain(5, chain_id="B")]
    verdict = cut_domain(domain("d", "1abc", ranges), chains)
    assert isinstance(verdict, Rejection)
    assert verdict.rule == rule
    assert reason in verdict.reason


def test_the_table_of_a_fetch_is_read_back(tmp_path: Path) -> None:
    domains = [
        domain("d1abca1", "1abc", "A:1-5,B:-3-2A"),
        domain("d1abca2", "1abc", None),
        domain("d9xyz__", "9xyz", "A:"),
    ]
    write_domain_table(tmp_path, domains, {"1abc": "1abc.cif.gz"})
    found = read_domain_table(tmp_path / "domains.csv")
    assert found == {"1abc.cif.gz": domains[:2], "": domains[2:]}


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "domains.csv"
    with pytest.raises(InputError, match="cannot be read as text"):
        read_domain_table(path)
    path.write_text("name,file\n")
    with pytest.raises(InputError, match="has no column pdb_id, ranges"):
        read_domain_table(path)
    path.write_text("name,pdb_id,file,ranges\na,1abc,x.cif,A:2-\n,1abc,x.cif,A:\n")
    with pytest.raises(InputError) as caught:
        read_domain_table(path)
    first, second = (str(problem) for problem in caught.value.problems)
    assert first.endswith("line 2: 'A:2-' is not a residue range such as A:, A:2-78 or 1-57")
    assert second.endswith("line 3: a domain needs a name")


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    folder = tmp_path / "scope"
    write_chains(folder / "1abc.cif", helix_chain(60, seed=1), helix_chain(44, chain_id="B"))
    write_chains(folder / "2xyz.cif", helix_chain(50, seed=2))
    return folder


def prepare(folder: Path, out: Path, domains: Path | None) -> PrepareReport:
    splits = SplitSettings(validation_fraction=0, test_fraction=0)
    return prepare_store(folder, out, filters=FilterSettings(), splits=splits, domains=domains)


def rejects(store: Path) -> dict[str, str]:
    with (store / "rejects.csv").open(newline="") as file:
        return {row["chain"]: row["rule"] for row in csv.DictReader(file)}


def test_domains_are_stored_in_the_place_of_chains(scope: Path, tmp_path: Path) -> None:
    listed = [
        domain("d1abca1", "1abc", "A:3-45"),
        domain("d1abca2", "1abc", "A:1-20,A:31-60"),
        domain("d1abca3", "1abc", "A:55-99"),
        domain("d1abcb_", "1abc", "B:1-10"),
        domain("d1abcc_", "1abc", None),
        domain("d9gone_", "9gon", "A:"),
    ]
    write_domain_table(scope, listed, {"1abc": "1abc.cif"})
    prepare(scope, tmp_path / "store", scope / "domains.csv")
    store = ChainStore.open(tmp_path / "store")
    assert store.names == ("d1abca1", "2xyz_A")
    assert store[0].residue_numbers.tolist() == list(range(3, 46))
    assert store[0].sequence == helix_chain(60, seed=1).sequence[2:45]
    assert rejects(tmp_path / "store") == {
        "d1abca2": "breaks",
        "d1abca3": "no-residues",
        "d1abcb_": "too-short",
        "d1abcc_": "no-ranges",
        "d9gone_": "no-file",
    }


def test_a_changed_table_is_seen_and_an_unchanged_one_reads_nothing(
    scope: Path, tmp_path: Path
) -> None:
    table, out = scope / "domains.csv", tmp_path / "store"
    write_domain_table(scope, [domain("d1", "1abc", "A:1-45")], {"1abc": "1abc.cif"})
    assert prepare(scope, out, table).reused == 0
    before = folder_bytes(out)
    assert prepare(scope, out, table).reused == 2
    assert folder_bytes(out) == before
    write_domain_table(scope, [domain("d1", "1abc", "A:2-45")], {"1abc": "1abc.cif"})
    assert prepare(scope, out, table).reused == 1
    assert ChainStore.open(out).lengths.tolist() == [44, 50]


def test_a_table_that_is_not_asked_for_is_pointed_out(
    scope: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_domain_table(scope, [domain("d1", "1abc", "A:1-45")], {"1abc": "1abc.cif"})
    prepare(scope, tmp_path / "store", None)
    assert "--domains cuts them" in caplog.text
    assert ChainStore.open(tmp_path / "store").names == ("1abc_A", "1abc_B", "2xyz_A")
