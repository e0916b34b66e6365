"""Files of other programs: tensors come out, classes are never looked up."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from foldwright.runtime.errors import InputError
from foldwright.runtime.torch_files import read_torch_file


class Stateful(OrderedDict):
    """A container subclass with a state of its own, as callbacks of Lightning 1.x have."""


class Marking:
    """Leaves its mark when plain pickle reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_tensors_of_every_kind_stay(tmp_path: Path) -> None:
    """Views, parameters and half precision, in a file that needs the second reader."""
    base = torch.arange(12.0).view(3, 4)
    content = {
        "view": base[:, 1:3],
        "parameter": torch.nn.Parameter(base),
        "half": base.half(),
        "whole": base.long(),
        "foreign": Stateful(a=1),
    }
    path = tmp_path / "x.ckpt"
    torch.save(content, path)
    found = read_torch_file(path)
    for name in ("view", "parameter", "half", "whole"):
        assert torch.equal(found[name], content[name])
        assert found[name].dtype == content[name].dtype
    assert not isinstance(found["foreign"], OrderedDict)


def test_reading_runs_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "x.pt", tmp_path / "mark"
    torch.save({"weight": torch.ones(2), "callback": Marking(mark)}, path)
    assert torch.equal(read_torch_file(path)["weight"], torch.ones(2))
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_files_from_before_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"weight": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_torch_file(path)["weight"], torch.ones(2))


def test_damaged_and_other_files(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save({"weight": torch.ones(1000)}, whole)
    cases = {
        "cut.pt": whole.read_bytes()[:-2000],
        "text.pt": b"not a checkpoint at all\n" * 20,
        "empty.pt": b"",
        "plain.pt": pickle.dumps({"weight": 1}, protocol=2),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: cannot be read as a checkpoint"):
            read_torch_file(tmp_path / name)
