import csv
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foldwright.cli.main import main

BOUNDARIES = "1cnsA  D02 F00  2 A 1 - A 87 - A 146 - A 243 -  1 A 88 - A 145 -\n"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def cif_gz(name: str) -> bytes:
    return gzip.compress(f"data_{name}\n".encode(), mtime=0)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a folder with four entries, on the loopback interface."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in ("1abc", "4hhb", "1cns"):
        (folder / f"{name}.cif.gz").write_bytes(cif_gz(name))
    (folder / "AF-P00520-F1-model_v4.cif").write_bytes(b"data_AF-P00520-F1\n")
    handler = partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(mirror: str, out: Path, *words: str | Path) -> int:
    servers = ["--base-url", mirror, "--afdb-url", mirror, "--attempts", "1"]
    return main(["data", "fetch", *map(str, words), "--out", str(out), *servers])


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_ids_on_the_line_and_in_lists_become_files(mirror: str, tmp_path: Path):
    (tmp_path / "ids.txt").write_text("# mine\n1ABC\n4hhb_B\n")
    (tmp_path / "more.txt").write_text("P00520\n")
    lists = ["--ids", tmp_path / "ids.txt", "--ids", tmp_path / "more.txt"]
    out = tmp_path / "out"
    assert fetch(mirror, out, "1abc", *lists, "--afdb-version", "4") == 0
    assert (out / "1abc.cif.gz").read_bytes() == cif_gz("1abc")
    assert (out / "AF-P00520-F1-model_v4.cif").read_bytes() == b"data_AF-P00520-F1\n"
    assert [row["id"] for row in table(out / "manifest.csv")] == ["1abc", "4hhb", "AF-P00520-F1"]
    (domain,) = table(out / "domains.csv")
    assert (domain["name"], domain["file"], domain["ranges"]) == ("4hhb_B", "4hhb.cif.gz", "B:")


def test_domains_get_their_ranges_from_a_second_list(
    mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "names.txt").write_text("1cnsA01\n1abcA02\n1zzzA00\n")
    (tmp_path / "boundaries.txt").write_text(BOUNDARIES)
    lists = ["--domains", tmp_path / "names.txt", "--domain-ranges", tmp_path / "boundaries.txt"]
    out = tmp_path / "out"
    assert fetch(mirror, out, *lists, "--json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["domains"], shown["domains_without_ranges"], shown["failed"]) == (3, 1, 1)
    rows = {row["name"]: row for row in table(out / "domains.csv")}
    assert rows["1cnsA01"]["ranges"] == "A:1-87,A:146-243"
    assert (rows["1abcA02"]["file"], rows["1abcA02"]["ranges"]) == ("1abc.cif.gz", "")
    assert (rows["1zzzA00"]["file"], rows["1zzzA00"]["ranges"]) == ("", "A:")


def test_failed_ids_give_exit_code_1_and_one_line_each(
    mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert fetch(mirror, tmp_path / "out", "1abc", "8xxx", "9yyy") == 1
    shown = capsys.readouterr().out.splitlines()
    for name in ("8xxx", "9yyy"):
        (line,) = [line for line in shown if name in line]
        assert "HTTP 404" in line
    assert fetch(mirror, tmp_path / "out", "1abc") == 0


def test_json_is_one_object_on_stdout(
    mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert fetch(mirror, out, "1abc", "4hhb", "--json") == 0
    assert fetch(mirror, out, "1abc", "1cns", "8xxx", "--json") == 1
    text = capsys.readouterr().out
    first, end = json.JSONDecoder().raw_decode(text)
    second = json.loads(text[end:])
    assert (first["fetched"], first["present"], first["failed"]) == (2, 0, 0)
    assert (second["fetched"], second["present"], second["failed"]) == (1, 1, 1)
    assert [failure["id"] for failure in second["failures"]] == ["8xxx"]
    assert second["manifest"] == str(out / "manifest.csv")


def test_bad_input_is_exit_code_2_and_downloads_nothing(
    mirror: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "ids.txt").write_text("1abc\nnonsense\n")
    out = tmp_path / "out"
    assert fetch(mirror, out, "what", "--ids", tmp_path / "ids.txt") == 2
    errors = capsys.readouterr().err
    assert "'what'" in errors
    assert "ids.txt:2" in errors
    assert not out.exists()
    assert fetch(mirror, out) == 2
    assert "nothing to fetch" in capsys.readouterr().err
    assert fetch(mirror, out, "1abc", "--format", "xyz") == 2
    assert fetch(mirror, out, "1abc", "--timeout", "0") == 2
    assert not out.exists()


def test_checksums_are_read_from_a_file(mirror: str, tmp_path: Path):
    sums = tmp_path / "SHA256SUMS"
    good = hashlib.sha256(cif_gz("1abc")).hexdigest()
    sums.write_text(f"{good}  1abc.cif.gz\n{'0' * 64}  4hhb.cif.gz\n")
    assert fetch(mirror, tmp_path / "a", "1abc", "--checksums", sums) == 0
    assert fetch(mirror, tmp_path / "b", "1abc", "4hhb", "--checksums", sums) == 1
    assert [path.name for path in (tmp_path / "b").glob("*.gz")] == ["1abc.cif.gz"]
