import email.utils
import gzip
import hashlib
import random
import socket
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from foldwright.data.download import (
    Downloader,
    DownloadError,
    DownloadPolicy,
    DownloadStoppedError,
    check_structure_file,
    part_path,
)
from foldwright.runtime.errors import InputError

QUICK = DownloadPolicy(attempts=4, timeout=5.0, backoff=0.01, longest_wait=3.0)
HASTY = replace(QUICK, timeout=0.4)


def cif_gz(name: str) -> bytes:
    noise = random.Random(name).randbytes(100_000).hex()
    return gzip.compress(f"data_{name}\n# {noise}\n".encode(), 1, mtime=0)


BODY = cif_gz("1abc")


def fetch(url: str, path: Path, sha256: str | None = None, policy: DownloadPolicy = QUICK) -> None:
    Downloader(policy).download(url, path, sha256)


def leftovers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("."))


@pytest.fixture
def goal(tmp_path: Path) -> Path:
    return tmp_path / "1abc.cif.gz"


def test_a_healthy_answer_is_stored_byte_for_byte(fault_server, goal: Path):
    fetch(fault_server.serve("/f", BODY), goal)
    assert goal.read_bytes() == BODY
    assert leftovers(goal.parent) == []
    assert fault_server.ranges("/f") == [None]


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_two_passing_errors_cost_two_requests_more(fault_server, goal: Path, code: int):
    fetch(
        fault_server.serve("/f", BODY, fault_server.status(code), fault_server.status(code)), goal
    )
    assert goal.read_bytes() == BODY
    assert len(fault_server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_final_answer_is_asked_for_once(fault_server, goal: Path, code: int):
    with pytest.raises(DownloadError, match=f"HTTP {code}"):
        fetch(fault_server.serve("/f", BODY, fault_server.status(code)), goal)
    assert len(fault_server.requests) == 1
    assert list(goal.parent.iterdir()) == []


def test_a_lasting_error_ends_after_the_set_attempts(fault_server, goal: Path):
    url = fault_server.serve("/f", BODY, *[fault_server.status(500)] * 9)
    with pytest.raises(DownloadError, match=r"HTTP 500 .*gave up after 4 attempts"):
        fetch(url, goal)
    assert len(fault_server.requests) == 4


def test_a_cut_connection_is_continued_where_it_broke(fault_server, goal: Path):
    fetch(fault_server.serve("/f", BODY, fault_server.cut(70_000)), goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-"]


def test_a_server_without_ranges_sends_all_again(fault_server, goal: Path):
    fault_server.supports_ranges = False
    fetch(fault_server.serve("/f", BODY, fault_server.cut(70_000)), goal)
    assert goal.read_bytes() == BODY
    assert len(fault_server.requests) == 2


def test_without_a_version_mark_nothing_is_continued(fault_server, goal: Path):
    fault_server.etag = None
    fetch(fault_server.serve("/f", BODY, fault_server.cut(70_000)), goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, None]


def test_a_file_that_changed_meanwhile_is_not_spliced(fault_server, goal: Path):
    newer = cif_gz("newer")

    def cut_then_change(handler, body):
        fault_server.cut(70_000)(handler, body)
        fault_server.bodies["/f"], fault_server.etag = newer, '"2"'

    fetch(fault_server.serve("/f", BODY, cut_then_change), goal)
    assert goal.read_bytes() == newer


def test_a_range_that_starts_elsewhere_is_not_believed(fault_server, goal: Path):
    def wrong_range(handler, body):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 5-{len(body) - 1}/{len(body)}")
        fault_server.finish_headers(handler, len(body) - 5)
        handler.wfile.write(body[5:])

    url = fault_server.serve("/f", BODY, fault_server.cut(70_000), wrong_range)
    with pytest.raises(DownloadError, match=r"asked to continue at byte 70000, .*bytes 5-"):
        fetch(url, goal, policy=replace(QUICK, attempts=2))
    fetch(url, goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-", None]


def test_a_refused_range_starts_afresh(fault_server, goal: Path):
    fetch(fault_server.serve("/f", BODY, fault_server.cut(70_000), fault_server.status(416)), goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-", None]


@pytest.mark.parametrize("stated", [len(BODY) + 50, len(BODY) - 50])
def test_a_wrong_content_length_never_makes_a_file(fault_server, goal: Path, stated: int):
    fault_server.supports_ranges = False
    wrong = fault_server.cut(len(BODY), stated=stated)
    with pytest.raises(DownloadError, match=r"connection ended after|damaged gzip"):
        fetch(fault_server.serve("/f", BODY, *[wrong] * 4), goal)
    assert not goal.exists()
    fetch(fault_server.serve("/f", BODY, wrong), goal)
    assert goal.read_bytes() == BODY


def test_corrupt_gzip_is_fetched_again_and_never_kept(fault_server, goal: Path):
    bad = bytearray(BODY)
    bad[len(bad) // 2] ^= 0xFF

    def corrupt(handler, body):
        fault_server.answer(handler, bytes(bad))

    fetch(fault_server.serve("/f", BODY, corrupt), goal)
    assert goal.read_bytes() == BODY
    goal.unlink()
    with pytest.raises(DownloadError, match="damaged gzip data"):
        fetch(fault_server.serve("/f", BODY, *[corrupt] * 4), goal)
    assert list(goal.parent.iterdir()) == []


def test_retry_after_in_seconds_is_waited_for_by_all(fault_server, tmp_path: Path):
    first = fault_server.serve("/a", BODY, fault_server.status(429, Retry_After="1"))
    second = fault_server.serve("/b", BODY)
    downloader = Downloader(QUICK)
    thread = threading.Thread(target=downloader.download, args=(first, tmp_path / "a.cif.gz"))
    thread.start()
    while not fault_server.requests:
        time.sleep(0.005)
    time.sleep(0.1)
    downloader.download(second, tmp_path / "b.cif.gz")
    thread.join()
    start, *later = [moment for _, _, moment in fault_server.requests]
    assert len(later) == 2
    assert all(moment - start >= 0.95 for moment in later)


def test_retry_after_as_a_date_is_understood(fault_server, goal: Path):
    moment = email.utils.formatdate(time.time() + 2, usegmt=True)
    fetch(fault_server.serve("/f", BODY, fault_server.status(503, Retry_After=moment)), goal)
    first, second = [moment for _, _, moment in fault_server.requests]
    assert second - first >= 0.9


def test_too_long_a_pause_is_not_slept_through(fault_server, goal: Path):
    started = time.monotonic()
    with pytest.raises(DownloadError, match="asks for a pause of 3600 s; run again later"):
        fetch(fault_server.serve("/f", BODY, fault_server.status(429, Retry_After="3600")), goal)
    assert time.monotonic() - started < 60


def test_pauses_grow_between_attempts(fault_server, goal: Path):
    url = fault_server.serve("/f", BODY, *[fault_server.status(500)] * 3)
    Downloader(DownloadPolicy(attempts=4, timeout=2.0, backoff=0.1)).download(url, goal)
    moments = [moment for _, _, moment in fault_server.requests]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(gap >= least for gap, least in zip(gaps, (0.05, 0.1, 0.2), strict=True))


def test_a_server_that_falls_silent_times_out_and_is_asked_again(fault_server, goal: Path):
    fetch(fault_server.serve("/f", BODY, fault_server.cut(70_000, pause=5.0)), goal, policy=HASTY)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-"]


def test_a_trickle_is_given_up(fault_server, goal: Path):
    slow = fault_server.dribble(step=8, pause=0.05, seconds=20)
    started = time.monotonic()
    fetch(fault_server.serve("/f", BODY, slow), goal, policy=HASTY)
    assert time.monotonic() - started < 15
    assert goal.read_bytes() == BODY


def test_redirects_are_followed(fault_server, goal: Path):
    target = fault_server.serve("/real", BODY)
    fetch(fault_server.serve("/f", b"", fault_server.status(302, Location=target)), goal)
    assert goal.read_bytes() == BODY


def test_a_redirect_loop_ends(fault_server, goal: Path):
    url = fault_server.serve("/f", b"", *[fault_server.status(302, Location="/f")] * 50)
    with pytest.raises(DownloadError, match="HTTP 302"):
        fetch(url, goal)
    assert len(fault_server.requests) < 15


def test_nobody_listening_is_a_reason(goal: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match=r"cannot connect: .*refused.*4 attempts"):
        fetch(f"http://127.0.0.1:{port}/f", goal)


def test_a_checksum_decides(fault_server, goal: Path):
    url = fault_server.serve("/f", BODY)
    fetch(url, goal, hashlib.sha256(BODY).hexdigest())
    assert goal.read_bytes() == BODY
    with pytest.raises(DownloadError, match=r"SHA-256 is .*, expected 0{64}"):
        fetch(url, goal.with_name("other.cif.gz"), "0" * 64)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("1abc.cif.gz", gzip.compress(b"<!DOCTYPE html><title>Sorry</title>", mtime=0)),
        ("1abc.cif", b"<html>"),
        ("1abc.bcif", b"<html>"),
        ("1abc.pdb", b"<html>"),
        ("1abc.cif", b""),
        ("1abc.cif.gz", b""),
        ("1abc.pdb", b"data_1abc\n"),
    ],
)
def test_a_page_in_place_of_a_structure_is_refused(
    fault_server, tmp_path: Path, name: str, body: bytes
):
    with pytest.raises(DownloadError, match="this is no "):
        fetch(fault_server.serve("/f", body), tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.cif", b"# made by hand\n\ndata_1ABC\n"),
        ("a.bcif", b"\x83\xa7version"),
        ("a.pdb", b"HEADER    PLANT PROTEIN\n"),
        ("a.pdb", b"ATOM      1  N   ALA A   1\n"),
    ],
)
def test_plain_files_of_each_format_are_accepted(
    fault_server, tmp_path: Path, name: str, body: bytes
):
    fetch(fault_server.serve("/f", body), tmp_path / name)
    assert (tmp_path / name).read_bytes() == body


def chunked(pieces: list[bytes], *, finish: bool):
    def fault(handler, body):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if finish:
            handler.wfile.write(b"0\r\n\r\n")

    return fault


def test_a_chunked_answer_counts_as_whole_only_with_its_end(fault_server, tmp_path: Path):
    pieces = [b"data_1abc\n", b"#\n" * 50]
    path = tmp_path / "a.cif"
    with pytest.raises(DownloadError, match="connection broke: IncompleteRead"):
        fetch(fault_server.serve("/f", b"", *[chunked(pieces, finish=False)] * 4), path)
    assert not path.exists()
    fetch(fault_server.serve("/f", b"", chunked(pieces, finish=True)), path)
    assert path.read_bytes() == b"".join(pieces)


def test_a_plain_file_of_unstated_size_is_refused(fault_server, tmp_path: Path):
    def unstated(handler, body):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    with pytest.raises(DownloadError, match="states no size"):
        fetch(fault_server.serve("/f", b"data_x\n", unstated), tmp_path / "a.cif")
    fetch(fault_server.serve("/g", BODY, unstated), tmp_path / "a.cif.gz")
    assert (tmp_path / "a.cif.gz").read_bytes() == BODY


def leave_part(fault_server, path: Path, body: bytes, cut_at: int) -> str:
    """End a download in the middle, as a kill would."""
    url = fault_server.serve("/f", body, fault_server.cut(cut_at))
    with pytest.raises(DownloadError):
        Downloader(DownloadPolicy(attempts=1, timeout=1.0)).download(url, path)
    return url


def test_the_part_of_an_earlier_run_is_continued(fault_server, goal: Path):
    url = leave_part(fault_server, goal, BODY, 70_000)
    assert not goal.exists()
    assert part_path(goal).stat().st_size == 70_000
    fetch(url, goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-"]
    assert leftovers(goal.parent) == []


def test_a_part_with_a_hole_is_found_out(fault_server, goal: Path):
    url = leave_part(fault_server, goal, BODY, 70_000)
    with part_path(goal).open("r+b") as file:
        file.seek(30_000)
        file.write(bytes(4096))
    fetch(url, goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, "bytes=70000-", None]


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": "http://elsewhere/f"}', None])
def test_a_part_of_unknown_origin_is_dropped(fault_server, goal: Path, note: str | None):
    url = leave_part(fault_server, goal, BODY, 70_000)
    note_path = part_path(goal).with_name(part_path(goal).name + ".json")
    if note is None:
        note_path.unlink()
    else:
        note_path.write_text(note)
    fetch(url, goal)
    assert goal.read_bytes() == BODY
    assert fault_server.ranges("/f") == [None, None]


def test_the_part_of_a_plain_file_is_not_continued_without_a_checksum(fault_server, tmp_path: Path):
    body = gzip.decompress(BODY)
    path = tmp_path / "a.cif"
    fetch(leave_part(fault_server, path, body, 70_000), path)
    assert path.read_bytes() == body
    url = leave_part(fault_server, tmp_path / "b.cif", body, 70_000)
    fetch(url, tmp_path / "b.cif", hashlib.sha256(body).hexdigest())
    assert fault_server.ranges("/f") == [None, None, None, "bytes=70000-"]


def test_stop_ends_a_running_download_and_keeps_its_part(fault_server, goal: Path):
    url = fault_server.serve("/f", BODY, fault_server.dribble(step=200, pause=0.02, seconds=20))
    downloader = Downloader(QUICK)
    threading.Timer(0.3, downloader.stop).start()
    started = time.monotonic()
    with pytest.raises(DownloadStoppedError):
        downloader.download(url, goal)
    assert time.monotonic() - started < 15
    assert not goal.exists()
    assert part_path(goal).stat().st_size > 0
    with pytest.raises(DownloadStoppedError):
        downloader.download(url, goal)


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"timeout": 0.0}, {"backoff": -1.0}, {"longest_wait": -1.0}]
)
def test_a_policy_without_sense_is_refused(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: got"):
        DownloadPolicy(**wrong)


def test_check_names_what_is_wrong(tmp_path: Path):
    path = tmp_path / "a.cif.gz"
    path.write_bytes(BODY)
    assert check_structure_file(path) is None
    path.write_bytes(BODY[:-20])
    assert "damaged gzip" in str(check_structure_file(path))
