from pathlib import Path

import torch

from foldwright.runtime import machine
from foldwright.runtime.machine import describe_machine


def test_every_subject_once_with_something_found():
    findings = describe_machine()
    subjects = [finding.subject for finding in findings]
    assert len(set(subjects)) == len(subjects)
    assert all(finding.found for finding in findings)
    found = {finding.subject: finding.found for finding in findings}
    assert found["torch"] == torch.__version__
    assert found["torch threads"] == str(torch.get_num_threads())


def test_absent_extra_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    notes = {finding.subject: finding for finding in describe_machine()}
    assert notes["tmtools"].found == "absent"
    assert notes["tmtools"].note.endswith("pip install 'foldwright[tm]'")
    assert notes["triton"].note == "no torch.compile on a GPU"


def test_no_compiler_is_said(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    notes = {finding.subject: finding for finding in describe_machine()}
    assert notes["C++ compiler"].found == "none"
    assert "does not work" in notes["C++ compiler"].note


def test_bf16_is_read_from_the_flags_of_the_processor(tmp_path: Path):
    flags = tmp_path / "cpuinfo"
    flags.write_text("model name : bf16 lover\nflags\t\t: fpu avx2\n")
    assert machine._cpu_bf16(flags).found == "emulated"
    flags.write_text("processor : 0\nflags\t\t: fpu amx_bf16 avx512_bf16\n")
    assert machine._cpu_bf16(flags).found == "native"
    flags.write_text("Features : fp asimd bf16\n")
    assert machine._cpu_bf16(flags).found == "native"
    assert machine._cpu_bf16(tmp_path / "absent").found == "not known"
