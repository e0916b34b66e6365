from pathlib import Path

import psutil
import pytest
import torch

from foldwright.runtime import memory
from foldwright.runtime.memory import PeakMemory, _container_headroom, available_memory

MIB = 1 << 20


def test_available_is_below_total_and_above_nothing():
    assert 0 < available_memory() <= psutil.virtual_memory().total


def test_memory_the_process_holds_is_available(monkeypatch):
    before = available_memory()
    monkeypatch.setattr(memory, "held_bytes", lambda: 1 << 45)
    assert abs(available_memory() - before - (1 << 45)) < 1 << 40


def test_peak_of_a_tensor_that_is_gone_again():
    with PeakMemory() as peak:
        held = torch.ones(100 * MIB // 4)
        held += 1
        del held
    assert 95 * MIB < peak.bytes < 160 * MIB


def test_peak_counts_from_the_entry():
    before = torch.ones(100 * MIB // 4)
    with PeakMemory() as peak:
        before += 1
    assert peak.bytes < 50 * MIB


def test_peak_is_there_after_an_error():
    peak = PeakMemory()

    def fail_inside() -> None:
        with peak:
            held = torch.ones(60 * MIB // 4)
            raise ValueError("inside", held.shape)

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert peak.bytes > 55 * MIB


def group(folder: Path, version: int, limit: str, used: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = (
        ("memory.max", "memory.current")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    )
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 1\n{key} {cache}\n")


def test_container_limit_is_the_tightest_of_the_groups_above(tmp_path):
    group(tmp_path / "slurm", 2, "1000", 600, 100)
    group(tmp_path / "slurm" / "job", 2, "max", 500, 0)
    assert _container_headroom(tmp_path, "0::/slurm/job\n") == 500
    group(tmp_path / "slurm" / "job", 2, "700", 500, 0)
    assert _container_headroom(tmp_path, "0::/slurm/job\n") == 200
    assert _container_headroom(tmp_path, "0::/other\n") is None


def test_container_limit_of_the_first_version(tmp_path):
    group(tmp_path / "memory" / "box", 1, "1000", 600, 50)
    membership = "5:cpu:/\n4:memory:/box\n0::/\n"
    assert _container_headroom(tmp_path, membership) == 450
    assert _container_headroom(tmp_path, "") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_peak_on_a_gpu_is_exact():
    with PeakMemory("cuda") as peak:
        held = torch.ones(64 * MIB // 4, device="cuda")
        del held
    assert peak.bytes == 64 * MIB
    assert available_memory("cuda") > 0
