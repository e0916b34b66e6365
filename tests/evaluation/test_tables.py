import csv
import json
from pathlib import Path

import pytest

from foldwright.evaluation.folder import FolderEvaluation, evaluate_folder
from foldwright.evaluation.tables import scores_csv, summary_record, write_tables


def test_the_table_holds_the_scores(evaluation: FolderEvaluation):
    rows = list(csv.DictReader(scores_csv(evaluation).splitlines()))
    assert [row["name"] for row in rows] == ["mirror <i>&'", "one", "two"]
    mirror, one, _ = rows
    assert (one["file"], one["chain"], one["length"]) == ("one.cif", "A", "60")
    assert float(one["bond_mean"]) == pytest.approx(3.8, abs=0.03)
    assert (mirror["left_helices"], one["left_helices"]) == ("1", "0")
    assert (mirror["n_ca"], one["rg_in_band"]) == ("", "false")


def test_the_summary_is_strict_json_with_exactly_the_gates(
    evaluation: FolderEvaluation, tmp_path: Path
):
    out = tmp_path / "new" / "scores"
    write_tables(evaluation, summary_record(evaluation), out)
    record = json.loads((out / "summary.json").read_text(), parse_constant=pytest.fail)
    assert record["designs"] == 3
    assert record["failed"] == 1
    assert record["failures"][0]["file"] == "damaged.pdb"
    assert record["passed"] is False
    assert {key: gate["passed"] for key, gate in record["gates"].items()} == {
        "bond_share": True,
        "clashes_36": True,
        "rg_in_band": False,
        "strand_rich": False,
        "mirror_dihedral_share": False,
    }
    # 57 of the 57 + 57 + 67 dihedrals are the mirror's.
    assert record["gates"]["mirror_dihedral_share"]["value"] == pytest.approx(57 / 181)
    assert record["diversity"]["pairs_of_one_length"] == 1
    assert [part["designs"] for part in record["by_length"]] == [2, 1]
    assert (out / "scores.csv").read_text() == scores_csv(evaluation)


def test_failures_alone_still_make_a_summary(tmp_path: Path):
    (tmp_path / "bad.pdb").write_text("nothing\n")
    record = summary_record(evaluate_folder(tmp_path))
    assert (record["designs"], record["failed"]) == (0, 1)
    assert "gates" not in record
