from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from foldwright.runtime.config import Config, dump_config, load_config, parse_config
from foldwright.runtime.errors import InputError


class Network(Config):
    channels: int = Field(default=128, gt=0)
    learning_rate: float = 1e-4
    kind: Literal["dense", "sparse"] = "dense"


class Run(Config):
    network: Network = Network()
    steps: int = Field(description="number of optimiser steps")
    lengths: tuple[int, ...] = (64, 128)
    name: str | None = None
    stages: tuple[Network, ...] = ()
    optional: Network | None = None

    @model_validator(mode="after")
    def _named_when_long(self) -> "Run":
        if self.steps > 1_000_000 and self.name is None:
            raise ValueError("a run of more than 1,000,000 steps needs a name; set name")
        return self


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def problems(path: Path | None, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_config(Run, path, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_file_and_overrides_and_defaults(tmp_path):
    path = write(tmp_path, "steps: 5\nnetwork:\n  learning_rate: 2e-4\n  channels: 64\n")
    words = ["network.channels=32", "optional.kind=sparse", "lengths=[40, 50]", "name=no"]
    run = load_config(Run, path, words)
    assert run.network == Network(channels=32, learning_rate=2e-4)
    assert run.optional == Network(kind="sparse")
    assert (run.steps, run.lengths, run.name) == (5, (40, 50), "no")


def test_override_keeps_what_follows_the_first_equals_sign():
    assert load_config(Run, None, ["steps=1", "name=a=b"]).name == "a=b"


def test_dump_and_load_are_inverse(tmp_path):
    run = Run(steps=3, network=Network(learning_rate=1e-7), name="2e-4", stages=(Network(),))
    assert load_config(Run, write(tmp_path, dump_config(run))) == run


def test_empty_file_is_all_defaults(tmp_path):
    assert load_config(Network, write(tmp_path, "# nothing\n")) == Network()


def test_all_problems_at_once_by_dotted_key_with_the_nearest_key(tmp_path):
    path = write(
        tmp_path,
        "network:\n  chanels: 3\n  kind: spars\n  learning_rate: fast\nstpes: 5\n"
        "stages: [{channels: 1.5}]\n",
    )
    assert sorted(problems(path, "network.channels=-1")) == sorted(
        [
            f"{path}: unknown key network.chanels; did you mean network.channels?",
            f"{path}: network.kind: found 'spars', expected 'dense' or 'sparse'",
            f"{path}: network.learning_rate: found 'fast', expected a valid number",
            f"{path}: unknown key stpes; did you mean steps?",
            f"{path}: stages.0.channels: found 1.5, expected a valid integer, "
            "got a number with a fractional part",
            f"{path}: steps is missing: number of optimiser steps",
            "override 'network.channels=-1': network.channels: found -1, expected greater than 0",
        ]
    )


def test_key_in_the_wrong_section_is_told_where_it_belongs():
    assert problems(None, "steps=1", "learning_rate=1") == [
        "override 'learning_rate=1': unknown key learning_rate; did you mean network.learning_rate?"
    ]


def test_key_like_no_other_lists_the_valid_ones():
    (problem,) = problems(None, "steps=1", "network.zzz=1")
    assert problem.endswith("valid keys: network.channels, network.kind, network.learning_rate")


def test_unknown_key_inside_an_optional_section_and_a_list():
    assert problems(None, "steps=1", "optional.knd=dense", "stages=[{channel: 1}]") == [
        "override 'stages=[{channel: 1}]': unknown key stages.0.channel; "
        "did you mean stages.0.channels?",
        "override 'optional.knd=dense': unknown key optional.knd; did you mean optional.kind?",
    ]


def test_rules_between_fields_arrive_in_their_own_words():
    assert problems(None, "steps=2000000") == [
        "defaults: a run of more than 1,000,000 steps needs a name; set name"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps"], "'steps': expected key=value, as in training.steps=1000"),
        (["=1"], "'=1': expected key=value, as in training.steps=1000"),
        (["a..b=1"], "'a..b=1': expected key=value, as in training.steps=1000"),
        (["steps=1", "steps.inner=2"], "steps.inner: steps is the value 1, not a section"),
        (["name=[1"], "'name=[1':1:3: not readable as YAML"),
    ],
)
def test_words_that_are_no_overrides(words, message):
    (problem,) = problems(None, *words)
    assert problem.startswith(message)


def test_files_that_are_no_configuration(tmp_path):
    assert problems(tmp_path / "absent.yaml")[0].endswith(
        "cannot be read: No such file or directory"
    )
    assert problems(tmp_path)[0].endswith("cannot be read: Is a directory")
    assert problems(write(tmp_path, "- 1\n"))[0].endswith("expected lines of `key: value`")
    assert problems(write(tmp_path, "a: ["))[0].startswith(f"{tmp_path / 'run.yaml'}:1:5: ")
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    assert problems(tmp_path / "run.yaml")[0].endswith("is not text; expected a YAML file")


def test_values_from_elsewhere_name_their_source():
    with pytest.raises(InputError, match=r"last\.safetensors: unknown key wide"):
        parse_config(Network, {"wide": 1}, "last.safetensors")


def test_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Network().channels = 3
