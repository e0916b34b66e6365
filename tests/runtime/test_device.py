import logging

import pytest
import torch

from foldwright.runtime.device import best_device, select_device
from foldwright.runtime.errors import InputError


def pretend(monkeypatch, *, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(0, False, "cpu"), (0, True, "mps"), (2, True, "cuda")]
)
def test_auto_takes_the_best_and_says_so(monkeypatch, caplog, cuda, mps, expected):
    pretend(monkeypatch, cuda=cuda, mps=mps)
    with caplog.at_level(logging.INFO, logger="foldwright"):
        assert select_device("auto") == torch.device(expected)
    assert f"device: {expected}" in caplog.text
    assert best_device() == torch.device(expected)


def test_named_devices_are_taken(monkeypatch):
    pretend(monkeypatch, cuda=2, mps=True)
    for name in ("cpu", "cuda", "cuda:1", "mps"):
        assert select_device(name) == torch.device(name)


@pytest.mark.parametrize(("name", "cuda"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_absent_gpu_is_refused_and_never_replaced(monkeypatch, name, cuda):
    pretend(monkeypatch, cuda=cuda, mps=False)
    with pytest.raises(
        InputError, match=f"'{name}' was asked for, but this machine has {cuda} CUDA"
    ):
        select_device(name)


def test_absent_mps_is_refused(monkeypatch):
    pretend(monkeypatch, cuda=1, mps=False)
    with pytest.raises(InputError, match="'mps' was asked for"):
        select_device("mps")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "xpu"])
def test_other_words_list_the_choices(name):
    with pytest.raises(InputError, match="write auto, cpu, cuda, cuda:1 or mps"):
        select_device(name)
