"""Parameter files: reading, refusing, loading, converting."""

import json
from pathlib import Path

import pytest
import torch
import zstandard

from foldwright.models.fold.config import AtomConfig, DenoiserConfig, FoldConfig
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.weights.layout import parameter_sources
from foldwright.models.fold.weights.load import (
    convert_weights,
    empty_network,
    inspect_weights,
    load_fold,
)
from foldwright.models.fold.weights.record_parameters import record_problems
from foldwright.models.fold.weights.records import parameter_files, read_records
from foldwright.runtime.errors import FoldwrightError, InputError
from tests.models.fold.golden_files import TINY
from tests.models.fold.record_writer import random_records, record_bytes, records_bytes

SMALL = FoldConfig(
    pair_channels=8,
    single_channels=8,
    msa_channels=8,
    template_channels=8,
    input_channels=8,
    outer_channels=2,
    pair_heads=2,
    msa_heads=2,
    single_heads=2,
    num_msa_blocks=1,
    num_template_blocks=1,
    num_trunk_blocks=2,
    num_confidence_blocks=1,
    atoms=AtomConfig(channels=8, pair_channels=4, num_heads=2, width=8),
    diffusion=DenoiserConfig(
        token_channels=8,
        single_channels=8,
        pair_channels=8,
        num_heads=2,
        num_super_blocks=2,
        super_block_size=2,
    ),
)


@pytest.fixture(scope="module")
def records() -> dict[str, torch.Tensor]:
    return random_records(empty_network(SMALL))


@pytest.fixture(scope="module")
def file(records: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.bin"
    path.write_bytes(records_bytes(records))
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_records_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    values = torch.arange(24).reshape(2, 3, 4).to(dtype)
    path = tmp_path / "one.bin"
    path.write_bytes(
        record_bytes("a/b:weights", values) + record_bytes("a:scalar", values[0, 0, 0])
    )
    found = read_records(path)
    assert list(found) == ["a/b:weights", "a:scalar"]
    assert torch.equal(found["a/b:weights"], values)
    assert found["a/b:weights"].dtype == dtype
    assert found["a:scalar"].shape == ()


def test_shards_are_joined_before_decompression(
    records: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    packed = zstandard.ZstdCompressor().compress(records_bytes(records))
    third = len(packed) // 3
    for index, part in enumerate((packed[:third], packed[third : 2 * third], packed[2 * third :])):
        (tmp_path / f"af.bin.zst.{index}").write_bytes(part)
    found = read_records(tmp_path)
    assert found.keys() == records.keys()
    assert all(torch.equal(found[name], values) for name, values in records.items())


def test_a_folder_with_two_sets_is_refused(tmp_path: Path) -> None:
    for name in ("one.bin", "other.bin"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"several sets: one, other; name one file"):
        parameter_files(tmp_path)


def test_every_parameter_has_a_source_and_every_record_a_use() -> None:
    network = empty_network(SMALL)
    names = {name for name, _ in network.named_parameters()}
    assert parameter_sources(network, "").keys() == names


def test_names_and_shapes_of_the_released_parameters(shared_data: Path) -> None:
    schema = json.loads((shared_data / "af3" / "schema" / "param_schema.json").read_text())
    records = {
        name: torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        for name, (shape, dtype) in schema.items()
    }
    assert len(records) == 404 + 1
    assert record_problems(records, empty_network(FoldConfig()), "") == []


def test_the_files_of_the_original_writer_load(shared_golden: Path) -> None:
    summary = inspect_weights(shared_golden / "af3" / "model_s55.bin.zst", TINY)
    assert summary.problems == ()
    assert summary.records == 404 + 1
    assert summary.identifier.startswith("random-parameters-reference-data")


def test_loaded_and_converted_weights_are_the_same(file: Path, tmp_path: Path) -> None:
    direct = load_fold(file, SMALL)
    out = tmp_path / "weights.safetensors"
    assert convert_weights(file, SMALL, out) == len(dict(direct.named_parameters()))
    mapped = load_fold(out, SMALL)
    for name, value in direct.named_parameters():
        assert torch.equal(value, mapped.get_parameter(name)), name


@pytest.mark.parametrize("cut", [3, 30, 3000, 30_001])
def test_a_file_that_ends_early_is_refused(file: Path, tmp_path: Path, cut: int) -> None:
    short = tmp_path / "short.bin"
    short.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(FoldwrightError, match=r"is cut off|ends inside|is missing"):
        load_fold(short, SMALL)


def test_the_record_that_is_cut_is_named(records: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = list(records)
    first = record_bytes(names[0], records[names[0]])
    path = tmp_path / "cut.bin"
    path.write_bytes(first + record_bytes(names[1], records[names[1]])[:-5])
    with pytest.raises(FoldwrightError, match=f"after {names[0]}, {names[1]}, is cut off"):
        read_records(path)


def test_damaged_compression_is_named(file: Path, tmp_path: Path) -> None:
    packed = bytearray(zstandard.ZstdCompressor().compress(file.read_bytes()))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) - len(packed) // 2)
    path = tmp_path / "bad.bin.zst"
    path.write_bytes(bytes(packed))
    with pytest.raises(FoldwrightError, match=r"damaged|cut off|impossible header"):
        read_records(path)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(FoldwrightError, match="the beginning has an impossible header"):
        read_records(path)


def test_all_misfits_are_named(records: dict[str, torch.Tensor]) -> None:
    spoilt = dict(records)
    spoilt["diffuser/evoformer/new:weights"] = torch.zeros(1)
    del spoilt["diffuser/evoformer/left_single:weights"]
    spoilt["diffuser/evoformer/prev_embedding:weights"] = torch.zeros(8, 9)
    stacked = "diffuser/evoformer/__layer_stack_no_per_layer_1/trunk_pairformer"
    name = f"{stacked}/pair_attention1/act_norm:scale"
    spoilt[name] = torch.cat([spoilt[name], spoilt[name]])
    problems = record_problems(spoilt, empty_network(SMALL), "")
    assert len(problems) == 4, problems
    text = "\n".join(problems)
    assert "evoformer/left_single:weights is missing" in text
    assert "evoformer/prev_embedding:weights has shape (8, 9)" in text
    assert "act_norm:scale stacks (4,) layers, expected (2,)" in text
    assert "evoformer/new:weights is not a part of this network" in text


def test_a_network_of_other_sizes_is_refused(file: Path) -> None:
    with pytest.raises(InputError, match="has shape"):
        load_fold(file, SMALL.model_copy(update={"single_channels": 16}))


def test_empty_network_has_no_memory() -> None:
    network = empty_network(FoldConfig())
    assert isinstance(network, FoldNetwork)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert len(network.trunk.blocks) == 48
