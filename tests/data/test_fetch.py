import csv
import gzip
import hashlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from foldwright.data.domain_lists import parse_domain_line
from foldwright.data.download import DownloadPolicy, part_path
from foldwright.data.fetch import fetch_structures
from foldwright.data.fetch_ids import FetchTarget
from foldwright.data.fetch_manifest import (
    FetchRecord,
    append_to_manifest,
    read_checksums,
    read_manifest,
    write_domain_table,
    write_manifest,
)
from foldwright.runtime.errors import InputError

QUICK = DownloadPolicy(attempts=4, timeout=5.0, backoff=0.01, longest_wait=3.0)
NAMES = [f"{index}abc" for index in range(1, 9)]


def cif_gz(name: str) -> bytes:
    noise = random.Random(name).randbytes(60_000).hex()
    return gzip.compress(f"data_{name}\n# {noise}\n".encode(), 1, mtime=0)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def targets(fault_server) -> list[FetchTarget]:
    """Eight healthy entries."""
    return [
        FetchTarget(name, fault_server.serve(f"/{name}.cif.gz", cif_gz(name)), f"{name}.cif.gz")
        for name in NAMES
    ]


def assert_complete(out: Path) -> None:
    """Every file is what the server has, and nothing but tables lies beside."""
    for name in NAMES:
        assert (out / f"{name}.cif.gz").read_bytes() == cif_gz(name)
    visible = {entry.name for entry in out.iterdir()} - {".fetch.lock"}
    assert visible == {f"{name}.cif.gz" for name in NAMES} | {"manifest.csv"}


def statuses(records: list[FetchRecord]) -> list[str]:
    return [record.status for record in records]


def test_every_file_comes_and_is_written_down(fault_server, targets, tmp_path: Path):
    steps = []

    class Counting:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def advance(self, count=1, **fields):
            steps.append((count, fields["failed"]))

        def skip(self, steps):
            raise AssertionError("present files are verified, which takes time too")

    out = tmp_path / "new" / "folder"
    records = fetch_structures(
        targets, out, workers=3, policy=QUICK, progress=lambda text, total: Counting()
    )
    assert_complete(out)
    assert [record.id for record in records] == NAMES
    assert steps == [(1, "0")] * 8
    with (out / "manifest.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    body = cif_gz("3abc")
    assert rows["3abc"] == {
        "id": "3abc",
        "file": "3abc.cif.gz",
        "bytes": str(len(body)),
        "sha256": sha256(body),
        "status": "fetched",
        "reason": "",
    }


def test_whole_files_are_kept_without_asking(fault_server, targets, tmp_path: Path):
    fetch_structures(targets, tmp_path, policy=QUICK)
    asked = len(fault_server.requests)
    before = (tmp_path / "1abc.cif.gz").stat().st_mtime_ns
    records = fetch_structures(targets, tmp_path, policy=QUICK)
    assert statuses(records) == ["present"] * 8
    assert len(fault_server.requests) == asked
    assert (tmp_path / "1abc.cif.gz").stat().st_mtime_ns == before


def test_a_mixture_of_faults_ends_in_the_same_files(fault_server, targets, tmp_path: Path):
    server = fault_server
    bad = bytearray(cif_gz("5abc"))
    bad[5000] ^= 1
    faults = {
        "1abc": [server.status(500), server.status(500)],
        "2abc": [server.cut(20_000), server.cut(0)],
        "3abc": [server.status(429, Retry_After="1")],
        "4abc": [server.cut(100, pause=0.3)],
        "5abc": [lambda handler, body: server.answer(handler, bytes(bad))],
        "6abc": [server.cut(10**6, stated=10**7)],
        "7abc": [server.status(307, Location="/8abc.cif.gz")],
    }
    for name, pending in faults.items():
        server.faults[f"/{name}.cif.gz"] = pending
    server.bodies["/8abc.cif.gz"] = cif_gz("7abc")
    records = fetch_structures(targets[:7], tmp_path, workers=4, policy=QUICK)
    assert statuses(records) == ["fetched"] * 7
    for name in NAMES[:7]:
        assert (tmp_path / f"{name}.cif.gz").read_bytes() == cif_gz(name)
    assert len(server.requests) < 25


def test_missing_entries_fail_alone_with_their_reason(fault_server, targets, tmp_path: Path):
    del fault_server.bodies["/2abc.cif.gz"]
    records = fetch_structures(targets, tmp_path, policy=QUICK)
    assert statuses(records) == ["fetched", "failed"] + ["fetched"] * 6
    assert records[1].reason == "HTTP 404 Not Found"
    assert fault_server.ranges("/2abc.cif.gz") == [None]
    assert read_manifest(tmp_path)["2abc.cif.gz"] == records[1]
    fault_server.bodies["/2abc.cif.gz"] = cif_gz("2abc")
    again = fetch_structures(targets, tmp_path, policy=QUICK)
    assert again[1].status == "fetched"
    assert_complete(tmp_path)


def test_a_damaged_file_on_disk_is_replaced(fault_server, targets, tmp_path: Path):
    fetch_structures(targets, tmp_path, policy=QUICK)
    victim = tmp_path / "4abc.cif.gz"
    victim.write_bytes(victim.read_bytes()[:-1000])
    records = fetch_structures(targets, tmp_path, policy=QUICK)
    assert records[3].status == "fetched"
    assert_complete(tmp_path)


def test_a_damaged_file_that_cannot_be_replaced_is_pointed_out(
    fault_server, targets, tmp_path: Path
):
    (tmp_path / "1abc.cif.gz").write_bytes(cif_gz("1abc")[:-1000])
    fault_server.bodies.clear()
    (record,) = fetch_structures(targets[:1], tmp_path, policy=QUICK)
    assert record.status == "failed"
    assert "not proven whole" in record.reason


def test_without_a_manifest_gzip_proves_a_file_and_plain_text_does_not(
    fault_server, tmp_path: Path
):
    whole = cif_gz("1abc")
    plain = b"data_half\n"
    (tmp_path / "1abc.cif.gz").write_bytes(whole)
    (tmp_path / "2abc.cif").write_bytes(plain)
    url = fault_server.serve("/2abc.cif", plain + b"# rest\n")
    targets = [
        FetchTarget("1abc", fault_server.url + "/absent", "1abc.cif.gz"),
        FetchTarget("2abc", url, "2abc.cif"),
    ]
    records = fetch_structures(targets, tmp_path, policy=QUICK)
    assert statuses(records) == ["present", "fetched"]
    assert (tmp_path / "2abc.cif").read_bytes() == plain + b"# rest\n"
    assert statuses(fetch_structures(targets, tmp_path, policy=QUICK)) == ["present", "present"]


def test_given_checksums_are_compared(fault_server, targets, tmp_path: Path):
    sums = tmp_path / "SHA256SUMS"
    wrong = "0" * 64
    sums.write_text(f"# sums\n{sha256(cif_gz('1abc'))}  cif/1abc.cif.gz\n{wrong} *2abc.cif.gz\n")
    out = tmp_path / "out"
    records = fetch_structures(targets[:2], out, policy=QUICK, checksums=read_checksums(sums))
    assert statuses(records) == ["fetched", "failed"]
    assert f"expected {wrong}" in records[1].reason
    assert not (out / "2abc.cif.gz").exists()


def test_checksums_for_other_files_are_an_error(targets, tmp_path: Path):
    with pytest.raises(InputError, match=r"none of the 1 checksums .* such as 1abc\.cif\.gz"):
        fetch_structures(targets, tmp_path, checksums={"1abc.pdb.gz": "0" * 64})


def test_malformed_checksums_are_reported_by_line(tmp_path: Path):
    sums = tmp_path / "sums"
    sums.write_text("abc  1abc.cif.gz\n" + "0" * 64 + "\n")
    with pytest.raises(InputError) as caught:
        read_checksums(sums)
    assert [problem.place for problem in caught.value.problems] == [f"{sums}:1", f"{sums}:2"]


def test_nothing_to_do_and_no_workers_are_errors(targets, tmp_path: Path):
    with pytest.raises(InputError, match="nothing to fetch"):
        fetch_structures([], tmp_path)
    with pytest.raises(InputError, match="workers: got 0"):
        fetch_structures(targets, tmp_path, workers=0)


def test_a_folder_that_cannot_be_made_is_one_clear_error(targets, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="what is complete stays"):
        fetch_structures(targets, tmp_path / "file", policy=QUICK)


def test_a_full_disk_stops_the_fetch_and_keeps_what_is_done(
    fault_server, targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real_open = Path.open

    def full_open(self: Path, mode: str = "r", *args, **kwargs):
        if self.name == ".3abc.cif.gz.part" and "a" in mode:
            raise OSError(28, "No space left on device")
        return real_open(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full_open)
    with pytest.raises(InputError, match="No space left on device"):
        fetch_structures(targets, tmp_path, workers=1, policy=QUICK)
    monkeypatch.undo()
    assert (tmp_path / "1abc.cif.gz").read_bytes() == cif_gz("1abc")
    assert not (tmp_path / "3abc.cif.gz").exists()
    assert len(fault_server.requests) < 8
    assert "present" in statuses(fetch_structures(targets, tmp_path, policy=QUICK))
    assert_complete(tmp_path)


def test_two_fetches_into_one_folder_are_refused(fault_server, targets, tmp_path: Path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / ".fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another fetch is writing here"):
            fetch_structures(targets, tmp_path, policy=QUICK)
    assert fault_server.requests == []


def test_a_torn_manifest_line_is_ignored_and_other_rows_stay(fault_server, targets, tmp_path: Path):
    other = FetchRecord("9xyz", "9xyz.pdb.gz", 5, "ab", "fetched")
    write_manifest(tmp_path, [other])
    append_to_manifest(tmp_path, FetchRecord("1abc", "1abc.cif.gz", 7, "cd", "fetched"))
    path = tmp_path / "manifest.csv"
    path.write_bytes(path.read_bytes()[:-12])
    assert read_manifest(tmp_path) == {"9xyz.pdb.gz": other}
    fetch_structures(targets, tmp_path, policy=QUICK)
    records = read_manifest(tmp_path)
    assert records["9xyz.pdb.gz"] == other
    assert len(records) == 9


def test_domains_are_listed_with_their_files(tmp_path: Path):
    first = parse_domain_line("1cnsA  D02 F00  2 A 1 - A 87 - A 146 - A 243 - 1 A 88 - A 145 -")
    write_domain_table(tmp_path, first, {"1cns": "1cns.cif.gz"})
    second = parse_domain_line("d1cd9.1\t1cd9\tA:1-107,B:-3-52A\tb.1.2.1\t1\tcl=1")
    write_domain_table(tmp_path, [*second, *parse_domain_line("d1dlwa_")], {})
    with (tmp_path / "domains.csv").open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ("1cnsA01", "1cns", "1cns.cif.gz", "A", "A:1-87,A:146-243", ""),
        ("1cnsA02", "1cns", "1cns.cif.gz", "A", "A:88-145", ""),
        ("d1cd9.1", "1cd9", "", "A B", "A:1-107,B:-3-52A", "b.1.2.1"),
        ("d1dlwa_", "1dlw", "", "", "", ""),
    ]


def has_bytes(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


CHILD = """
import signal, sys
from pathlib import Path
from foldwright.data.download import DownloadPolicy
from foldwright.data.fetch import fetch_structures
from foldwright.data.fetch_ids import FetchTarget

# A shell that runs the tests in the background makes its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
url, out, *names = sys.argv[1:]
targets = [FetchTarget(n, f"{url}/{n}.cif.gz", f"{n}.cif.gz") for n in names]
try:
    fetch_structures(targets, Path(out), workers=2, policy=DownloadPolicy(timeout=2.0))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("signal_number", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_process_ended_in_the_middle_is_continued_to_the_same_files(
    fault_server, targets, tmp_path: Path, signal_number: int, exit_code: int
):
    for name in ("3abc", "4abc"):
        slow = fault_server.dribble(step=300, pause=0.05, seconds=15)
        fault_server.faults[f"/{name}.cif.gz"] = [slow]
    command = [sys.executable, "-c", textwrap.dedent(CHILD), fault_server.url, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([*command, *NAMES], env=environment)
    try:
        parts = [part_path(tmp_path / f"{name}.cif.gz") for name in ("3abc", "4abc")]
        deadline = time.monotonic() + 60
        while len(read_manifest(tmp_path)) < 2 or not all(map(has_bytes, parts)):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal_number)
        assert child.wait(timeout=30) == exit_code
    finally:
        child.kill()
        child.wait()
    done = {entry.name for entry in tmp_path.glob("*.cif.gz")}
    assert done == {"1abc.cif.gz", "2abc.cif.gz"}
    assert set(read_manifest(tmp_path)) == done
    fault_server.requests.clear()
    records = fetch_structures(targets, tmp_path, policy=QUICK)
    assert statuses(records) == ["present"] * 2 + ["fetched"] * 6
    assert_complete(tmp_path)
    for name in ("3abc", "4abc"):
        (resumed,) = fault_server.ranges(f"/{name}.cif.gz")
        assert int(str(resumed).removeprefix("bytes=").removesuffix("-")) > 0
