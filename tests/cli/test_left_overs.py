"""Files of a killed run: no reader takes them, and the next run of the command removes them."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foldwright.cli.main import main
from foldwright.data.store import ChainStore
from foldwright.runtime.partials import partial_name
from tests.data.sample_chains import helix_chain, write_chains


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for number in range(2):
        write_chains(tmp_path / f"raw/p{number}.cif", helix_chain(40 + number, seed=number))
    return tmp_path / "raw"


@pytest.fixture
def killed() -> int:
    """Number of a process that was killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        process.kill()
    return process.pid


@pytest.fixture
def leave(killed: int, monkeypatch: pytest.MonkeyPatch):
    """Put an unfinished copy of a file beside it, as the killed process would have left it."""

    def put(path: Path) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: killed)
            left = path.with_name(partial_name(path.name))
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(path.read_bytes()[:99] if path.is_file() else b"half")
        return left

    return put


def test_data_prepare(raw: Path, tmp_path: Path, leave) -> None:
    left = leave(raw / "p1.cif")
    words = ["data", "prepare", str(raw), "--out", str(tmp_path / "store")]
    assert main(words) == 0
    assert (tmp_path / "store/rejects.csv").read_text().count("\n") == 1
    assert left.exists(), "what lies in the folder of the input is not ours"
    item = next((tmp_path / "store.items").rglob("*.npz"))
    mine = [leave(item), leave(tmp_path / "store")]
    assert main(words) == 0
    assert not any(path.exists() for path in mine)


def test_a_store_that_was_set_aside_comes_back(raw: Path, tmp_path: Path, leave) -> None:
    words = ["data", "prepare", str(raw), "--out", str(tmp_path / "store")]
    assert main(words) == 0
    aside = leave(tmp_path / "store-old")
    aside.unlink()
    (tmp_path / "store").rename(aside)
    assert main([*words, "--min-length", "300"]) == 2, "no chain passes, so no new store"
    assert ChainStore.open(tmp_path / "store").names == ("p0_A", "p1_A")
    assert not aside.exists()


def test_evaluate_and_report(raw: Path, leave) -> None:
    designs = raw
    left = leave(designs / "p0.cif")
    tables = leave(designs / "evaluation/scores.csv")
    page = leave(designs / "report.html")
    assert main(["evaluate", str(designs)]) == 0
    assert len((designs / "evaluation/scores.csv").read_text().splitlines()) == 3
    assert main(["report", str(designs)]) == 0
    assert left.exists()
    assert not tables.exists()
    assert not page.exists()


def test_design(tmp_path: Path, leave) -> None:
    out = tmp_path / "out"
    words = ["design", "--length", "20", "--steps", "1", "--device", "cpu", "--out", str(out)]
    assert main(words) == 0
    mine = [leave(out / "design_00001.pdb"), leave(out / "items/design_00001.json")]
    assert main([*words, "--num", "2"]) == 0
    assert not any(path.exists() for path in mine)
    rows = (out / "scores.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["design_00000", "design_00001"]


def test_terminated_commands_tidy_up(raw: Path, tmp_path: Path) -> None:
    """SIGTERM is what batch systems send; the answer is that of Ctrl-C."""
    shutil.copy(raw / "p0.cif", raw / "slow.cif")
    body = (
        "import sys, time\n"
        "from foldwright.runtime import files\n"
        "from foldwright.cli.main import main\n"
        "real = files._publish\n"
        "def publish(temporary, target):\n"
        "    if target.name == 'scores.csv':\n"
        "        print(temporary.name, flush=True); time.sleep(600)\n"
        "    real(temporary, target)\n"
        "files._publish = publish\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", body, "evaluate", str(raw), "--out", str(tmp_path / "scores")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        name = run.stdout.readline().strip()
        assert (tmp_path / "scores" / name).is_file()
        run.send_signal(signal.SIGTERM)
        _, errors = run.communicate(timeout=300)
    assert run.returncode == 130
    assert "run the same command again to resume" in errors
    assert list((tmp_path / "scores").iterdir()) == []
