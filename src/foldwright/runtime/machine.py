"""What this machine has that decides how the package runs on it."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from foldwright import __version__
from foldwright.runtime.device import best_device
from foldwright.runtime.memory import available_memory

_OPTIONAL = (
    ("tensorboard", "tensorboard", "training curves in TensorBoard; CSV and JSON need nothing"),
    ("tmtools", "tm", "exact TM-align scores; GPL-3, so never installed unasked"),
)
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Finding:
    """One fact about the machine: what it is about, what is there, and what follows from it."""

    subject: str
    found: str
    note: str = ""


def describe_machine() -> list[Finding]:
    """Return what was found, in the order in which a person reads it; changes nothing."""
    return [
        *_software(),
        *_processor(),
        *_devices(),
        *_compilers(),
        *_optional_packages(),
        _disk(Path.cwd()),
    ]


def _software() -> list[Finding]:
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    if torch.version.hip:
        build = f"ROCm {torch.version.hip}"
    return [
        Finding("foldwright", __version__),
        Finding("python", platform.python_version(), platform.platform()),
        Finding("torch", str(torch.__version__), build),
    ]


def _processor() -> list[Finding]:
    usable = len(psutil.Process().cpu_affinity()) if hasattr(os, "sched_getaffinity") else None
    cores = usable or os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    return [
        Finding("processors", f"{cores} usable", torch.backends.cpu.get_cpu_capability()),
        Finding("torch threads", str(torch.get_num_threads()), "set OMP_NUM_THREADS to change"),
        Finding("memory", _gigabytes(available_memory("cpu")) + " free", _gigabytes(memory)),
        _cpu_bf16(Path("/proc/cpuinfo")),
    ]


def _cpu_bf16(cpuinfo: Path) -> Finding:
    subject = "bf16 on the CPU"
    if not cpuinfo.exists():
        return Finding(subject, "not known", "works, perhaps slower than float32")
    lines = (line for line in cpuinfo.read_text().splitlines() if ":" in line)
    words = {word for line in lines if line[0] in "fF" for word in line.split(":")[1].split()}
    if words & _BF16_FLAGS:
        return Finding(subject, "native", ", ".join(sorted(words & _BF16_FLAGS)))
    return Finding(subject, "emulated", "works, slower than float32")


def _devices() -> list[Finding]:
    findings = []
    if torch.cuda.is_available():
        findings = [_cuda_device(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        findings.append(Finding("mps", "Apple GPU", _gigabytes(available_memory("mps")) + " free"))
    if not findings:
        findings.append(Finding("GPU", "none", "everything runs on the CPU"))
    return [*findings, Finding("device for --device auto", str(best_device()))]


def _cuda_device(index: int) -> Finding:
    facts = torch.cuda.get_device_properties(index)
    bf16 = "bf16" if facts.major >= 8 else "no bf16"
    free = _gigabytes(available_memory(f"cuda:{index}"))
    note = f"{free} of {_gigabytes(facts.total_memory)} free, sm_{facts.major}{facts.minor}, {bf16}"
    return Finding(f"cuda:{index}", facts.name, note)


def _compilers() -> list[Finding]:
    named = os.environ.get("CXX")
    compiler = next(filter(None, map(shutil.which, filter(None, (named, "g++", "clang++")))), None)
    triton = importlib.util.find_spec("triton")
    return [
        Finding(
            "C++ compiler",
            compiler or "none",
            "torch.compile on the CPU works"
            if compiler
            else "torch.compile on the CPU does not work",
        ),
        Finding(
            "triton",
            importlib.metadata.version("triton") if triton else "none",
            "torch.compile on a GPU works" if triton else "no torch.compile on a GPU",
        ),
    ]


def _optional_packages() -> list[Finding]:
    findings = []
    for module, extra, purpose in _OPTIONAL:
        present = importlib.util.find_spec(module) is not None
        found = importlib.metadata.version(module) if present else "absent"
        how = "" if present else f"; pip install 'foldwright[{extra}]'"
        findings.append(Finding(module, found, f"{purpose}{how}"))
    return findings


def _disk(folder: Path) -> Finding:
    return Finding("disk here", f"{_gigabytes(shutil.disk_usage(folder).free)} free", str(folder))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
