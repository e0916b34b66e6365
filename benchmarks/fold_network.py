"""CPU seconds and peak memory of the parts of the fold network, with random parameters.

    python benchmarks/fold_network.py --tokens 76
    python benchmarks/fold_network.py --tokens 76 --predict
    python benchmarks/fold_network.py --tokens 76 --options CACHE

Full width and depth; a trunk pass is timed as a few blocks of each stack and scaled to the released
depth unless --whole is given. Tokens are one protein chain with one alignment row and four empty
templates. --predict runs a whole prediction instead: all 48 blocks, one recycle, ten steps, one
sample, all scores. --options compares, turn by turn, denoising with and without compilation (kept
in the folder CACHE) and a block in both formats. Beside the times stands the speed of a plain
product of matrices, measured between them: it says how much of the processor was to be had.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from foldwright.models.fold import (
    FoldConfig,
    FoldSamplerConfig,
    inputs_from_arrays,
    predict,
    seeded_fold_draws,
)
from foldwright.models.fold.compiled import compile_denoiser
from foldwright.models.fold.inputs import FoldInputs
from foldwright.models.fold.network.fold_network import FoldNetwork
from foldwright.models.fold.network.trunk import first_previous
from foldwright.models.fold.network.workspace import Workspace
from foldwright.models.fold.precision import set_precision
from foldwright.models.fold.weights.load import empty_network

ATOMS_PER_TOKEN = 8


def chain_inputs(n: int) -> FoldInputs:
    """One chain of `n` residues with eight atoms each."""
    rng = np.random.default_rng(0)
    real = np.zeros((n, 24), bool)
    real[:, :ATOMS_PER_TOKEN] = True
    atoms = n * ATOMS_PER_TOKEN
    windows = -(-24 * n // 32)
    flat = np.flatnonzero(real)
    queries = np.zeros(windows * 32, int)
    queries[:atoms] = flat
    query_mask = np.arange(windows * 32) < atoms
    start = np.clip(32 * np.arange(windows) - 48, 0, max(atoms - 128, 0))
    keys = np.minimum(start[:, None] + np.arange(128), windows * 32 - 1)
    back = np.zeros(n * 24, int)
    back[flat] = np.arange(atoms)
    ids = np.arange(n)
    one = np.ones(n, int)
    arrays = {
        "token_index": ids + 1,
        "residue_index": ids + 1,
        "asym_id": one,
        "entity_id": one,
        "sym_id": one,
        "aatype": ids % 20,
        "seq_mask": one > 0,
        "msa": (ids % 20)[None],
        "deletion_matrix": 0 * one[None],
        "msa_mask": one[None] > 0,
        "profile": np.eye(31, dtype=np.float32)[ids % 20],
        "deletion_mean": np.zeros(n, np.float32),
        "template_aatype": np.zeros((4, n), int),
        "template_atom_positions": np.zeros((4, n, 24, 3), np.float32),
        "template_atom_mask": np.zeros((4, n, 24), bool),
        "ref_pos": rng.normal(size=(n, 24, 3)).astype(np.float32),
        "ref_mask": real,
        "ref_element": np.full((n, 24), 6),
        "ref_charge": np.zeros((n, 24), np.float32),
        "ref_atom_name_chars": np.full((n, 24, 4), 35),
        "ref_space_uid": np.repeat(ids, 24).reshape(n, 24),
        "pred_dense_atom_mask": real,
        "frames_mask": one > 0,
    }
    gathers = {
        "token_atoms_to_queries": (queries.reshape(-1, 32), query_mask.reshape(-1, 32)),
        "tokens_to_queries": (queries.reshape(-1, 32) // 24, query_mask.reshape(-1, 32)),
        "tokens_to_keys": (queries[keys] // 24, query_mask[keys]),
        "queries_to_keys": (keys, query_mask[keys]),
        "queries_to_token_atoms": (back.reshape(n, 24), real),
        "token_atoms_to_pseudo_beta": (24 * ids + 4, one > 0),
        "tokens_to_polymer_ligand_bonds": (np.zeros((n, 2), int), np.zeros((n, 2), bool)),
        "tokens_to_ligand_ligand_bonds": (np.zeros((n, 2), int), np.zeros((n, 2), bool)),
    }
    for name, (index, mask) in gathers.items():
        arrays |= {f"{name}:gather_idxs": index, f"{name}:gather_mask": mask}
    return inputs_from_arrays(arrays, "benchmark")


def random_network(config: FoldConfig) -> FoldNetwork:
    network = empty_network(config).to_empty(device="cpu").requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.05, 0.05, generator=generator)
    return network.eval()


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def measure(tokens: int, *, whole: bool, repeats: int) -> dict[str, float]:
    released = FoldConfig()
    trunk_blocks = released.num_trunk_blocks if whole else 2
    config = released.model_copy(update={"num_trunk_blocks": trunk_blocks})
    network, inputs = random_network(config), chain_inputs(tokens)
    target = network.target_features(inputs)
    previous = first_previous(target, config.pair_channels, config.single_channels)
    order = torch.arange(1)
    work = Workspace()
    found = network.trunk(inputs, target, previous, order, work)

    def one_pass() -> None:
        network.trunk(inputs, target, (found[0].clone(), found[1]), order, work)

    seconds = cpu_seconds(one_pass, repeats)
    block, pair, single = network.trunk.blocks[0], found[0].clone(), found[1].clone()
    single_block = cpu_seconds(
        lambda: block.update(pair, single, inputs.tokens.mask, work), repeats
    )
    missing = released.num_trunk_blocks - trunk_blocks
    conditioning = network.diffusion.condition(inputs, target, *found, work, keep_logits=True)
    positions, level = torch.randn(1, tokens, 24, 3), torch.tensor(10.0)
    five = positions.expand(5, -1, -1, -1)
    return {
        "trunk pass": seconds + missing * single_block,
        "pairformer block": single_block,
        "denoising call": cpu_seconds(
            lambda: network.diffusion(inputs, conditioning, positions, level, work), repeats
        ),
        "5 samples, each": cpu_seconds(
            lambda: network.diffusion(inputs, conditioning, five, level, work), repeats
        )
        / 5,
        "confidence call": cpu_seconds(
            lambda: network.confidence(inputs, positions[0], target, *found, work),
            repeats,
        ),
        "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def product_speed() -> float:
    """Billions of operations per CPU second in products like those of the network."""
    x, weight = torch.randn(1024, 128), torch.randn(512, 128)
    out = torch.empty(1024, 512)
    seconds = cpu_seconds(lambda: [torch.mm(x, weight.t(), out=out) for _ in range(20)], 3)
    return 20 * 2 * 1024 * 128 * 512 / seconds / 1e9


def measure_prediction(tokens: int) -> dict[str, float]:
    network, inputs = random_network(FoldConfig()), chain_inputs(tokens)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    start, began = time.process_time(), time.perf_counter()
    settings = FoldSamplerConfig(num_recycles=1, steps=10)
    draws = seeded_fold_draws(inputs, 1)
    predict(network, inputs, settings, num_samples=1, draws=draws)
    return {
        "prediction, CPU s": time.process_time() - start,
        "prediction, s": time.perf_counter() - began,
        "loaded, GB": loaded,
        "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def measure_options(tokens: int, repeats: int, cache: Path) -> dict[str, float]:
    config = FoldConfig(num_trunk_blocks=1, num_msa_blocks=1, num_confidence_blocks=1)
    plain, other, inputs = random_network(config), random_network(config), chain_inputs(tokens)
    work, mask = Workspace(), inputs.tokens.mask
    pair, single = torch.randn(tokens, tokens, 128), torch.randn(tokens, 384)
    target = plain.target_features(inputs)
    conditioning = plain.diffusion.condition(inputs, target, pair, single, work, keep_logits=True)
    positions, level = torch.randn(1, tokens, 24, 3), torch.tensor(10.0)
    compile_denoiser(other, cache)
    set_precision(other, "bfloat16-trunk")
    start, began = time.process_time(), time.perf_counter()
    other.diffusion(inputs, conditioning, positions, level, work)
    result = {"first compiled, CPU s": time.process_time() - start}
    result["first compiled, s"] = time.perf_counter() - began
    low = torch.bfloat16
    runs = {
        "plain": partial(plain.diffusion, inputs, conditioning, positions, level, work),
        "compiled": partial(other.diffusion, inputs, conditioning, positions, level, work),
        "block": partial(plain.trunk.blocks[0].update, pair, single, mask, work),
        "block, bfloat16": partial(
            other.trunk.blocks[0].update, pair.to(low), single.to(low), mask, work
        ),
    }
    for _ in range(repeats):
        for name, run in runs.items():
            seconds = cpu_seconds(run, 1)
            result[name] = min(seconds, result.get(name, seconds))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=76)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="all 48 trunk blocks")
    parser.add_argument("--predict", action="store_true", help="a whole prediction instead")
    parser.add_argument("--options", type=Path, metavar="CACHE", help="compilation and formats")
    given = parser.parse_args()
    with torch.no_grad():
        before = product_speed()
        if given.options:
            result = measure_options(given.tokens, given.repeats, given.options)
        elif given.predict:
            result = measure_prediction(given.tokens)
        else:
            result = measure(given.tokens, whole=given.whole, repeats=given.repeats)
        result["products, GFLOP/s"] = (before + product_speed()) / 2
    for name, value in result.items():
        print(f"{name:20s} {value:8.3f}")


if __name__ == "__main__":
    main()
