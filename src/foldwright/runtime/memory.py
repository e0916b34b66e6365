"""How much memory there is, and how much a piece of work took."""

import threading
from pathlib import Path
from types import TracebackType

import psutil
import torch

from foldwright.runtime.allocator import held_bytes

_SAMPLE_SECONDS = 0.002
_CGROUP = Path("/sys/fs/cgroup")
_VERSION_1_FILES = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def available_memory(device: torch.device | str = "cpu") -> int:
    """Return the bytes that new tensors on `device` can take without swapping or failing.

    On the CPU the limit of the container counts too. Memory that the process, or on a GPU torch,
    holds but does not use counts as available.
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + held)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    machine = int(psutil.virtual_memory().available)
    container = _container_headroom(_CGROUP, _membership())
    free = machine if container is None else max(0, min(machine, container))
    return free + held_bytes()


def _container_headroom(folder: Path, membership: str) -> int | None:
    """Bytes below the tightest memory limit over this process, or None where there is no limit.

    Args:
        folder: where the control groups are mounted.
        membership: what /proc/self/cgroup says: one `number:controllers:path` per line.
    """
    headrooms = []
    for line in membership.splitlines():
        _, controllers, inner = line.split(":", 2)
        if controllers == "":
            root, limit, usage = folder, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, usage = folder / "memory", *_VERSION_1_FILES
        else:
            continue
        group = root / inner.strip("/")
        for level in (group, *group.parents):
            if level.is_relative_to(root):
                headrooms.append(_group_headroom(level, limit, usage))
    return min((room for room in headrooms if room is not None), default=None)


def _group_headroom(group: Path, limit: str, usage: str) -> int | None:
    try:
        bound = (group / limit).read_text().strip()
        in_use = int((group / usage).read_text())
        statistics = (group / "memory.stat").read_text()
    except OSError:  # a level that sets no limit, or is not visible from inside a container
        return None
    return None if bound == "max" else int(bound) - (in_use - _reclaimable(statistics))


def _membership() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:  # not Linux
        return ""


def _reclaimable(statistics: str) -> int:
    """File cache that the kernel drops when a program asks for memory."""
    rows = dict(line.split() for line in statistics.splitlines() if line.count(" ") == 1)
    return int(rows.get("total_inactive_file", rows.get("inactive_file", 0)))


class PeakMemory:
    """Measures the peak memory of a `with` block over what was in use when it began.

    `bytes` holds the answer after the block: on the CPU the resident memory of this process, seen
    every two milliseconds by a thread (a shorter peak can be missed); on a GPU what torch's
    allocator handed out, exactly. Blocks on a GPU do not nest: the inner one resets the peak.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.bytes = 0
        self._start = 0
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self._start = torch.cuda.memory_allocated(self.device)
            return self
        self._stop.clear()
        self._start = self._in_use()
        self.bytes = 0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self.bytes = torch.cuda.max_memory_allocated(self.device) - self._start
            return
        self._look()
        self._stop.set()
        assert self._watcher is not None
        self._watcher.join()

    def _in_use(self) -> int:
        if self.device.type == "mps":
            return torch.mps.driver_allocated_memory()
        return int(psutil.Process().memory_info().rss)

    def _look(self) -> None:
        self.bytes = max(self.bytes, self._in_use() - self._start)

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._look()
