"""Random reads of chains: the store against the text files that Genie read with np.loadtxt.

    python benchmarks/data_store.py [--chains 1000] [--big-megabytes 500]

The same chains of 50 to 512 residues are written both ways, N, CA and C of each residue as three
rows of text and a store with N, CA, C, O, sequence and numbering. The second table reads every
chain of a store larger than what a process may keep, and shows how far resident memory rises.
Files are in the file cache for both: on a cold disk the text is also 3 times as many bytes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import ChainShape
from foldwright.data.store import ChainStore, NewChain, StoreWriter
from foldwright.runtime.memory import PeakMemory

SHAPE = ChainShape(helix=0.4, strand=0.2, coil=0.4, rg=15.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--big-megabytes", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare_with_text(Path(folder), options.chains)
        read_a_big_store(Path(folder), options.big_megabytes)


def compare_with_text(folder: Path, num_chains: int) -> None:
    generator = np.random.default_rng(0)
    chains = [random_chain(generator, number) for number in range(num_chains)]
    write_store(folder / "store", chains)
    (folder / "text").mkdir()
    files = [write_text(folder / "text", chain) for chain in chains]
    store = ChainStore.open(folder / "store")
    order = generator.integers(num_chains, size=4 * num_chains).tolist()
    text_order = order[:num_chains]  # a read takes a millisecond
    text_wall, text_cpu = microseconds(lambda i: np.loadtxt(files[i], delimiter=","), text_order)
    store_wall, store_cpu = microseconds(store.__getitem__, order)
    print(f"random read of {num_chains} chains, mean {np.mean(store.lengths):.0f} residues")
    print(f"{'':24}{'µs per chain':>14}{'µs CPU':>12}{'MB':>8}")
    text_size, store_size = size_of(folder / "text"), size_of(folder / "store")
    print(f"{'np.loadtxt, N CA C':24}{text_wall:14.1f}{text_cpu:12.1f}{text_size:8.1f}")
    print(f"{'store, everything':24}{store_wall:14.1f}{store_cpu:12.1f}{store_size:8.1f}")
    print(
        f"the store is {text_wall / store_wall:.0f} times faster ({text_cpu / store_cpu:.0f} CPU)"
    )


def read_a_big_store(folder: Path, megabytes: int) -> None:
    generator = np.random.default_rng(1)
    length = 1000
    chain = random_chain(generator, 0, length)
    per_chain = (4 + 1) * 3 * 4 * length + 5 * length
    count = megabytes * 1_000_000 // per_chain
    with StoreWriter(folder / "big", source="benchmark") as writer:
        for number in range(count):
            writer.add(replace(chain, name=f"chain{number}"))
    begin = time.perf_counter()
    store = ChainStore.open(folder / "big")
    opening = time.perf_counter() - begin
    with PeakMemory() as memory:
        wall, _ = microseconds(store.__getitem__, generator.permutation(count).tolist())
    print(f"\nall {count} chains of a store of {size_of(folder / 'big'):.0f} MB in random order")
    print(f"opening {1e3 * opening:.1f} ms, {wall:.1f} µs per chain of {length} residues")
    print(f"resident memory rises by at most {memory.bytes / 1e6:.0f} MB")


def microseconds(read: Callable[[int], object], order: Sequence[int]) -> tuple[float, float]:
    """Wall and CPU time of one read."""
    read(order[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for number in order:
        read(number)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return 1e6 * wall / len(order), 1e6 * cpu / len(order)


def random_chain(generator: np.random.Generator, number: int, length: int = 0) -> NewChain:
    length = length or int(generator.integers(50, 513))
    walk = np.cumsum(generator.normal(scale=2.2, size=(length, 1, 3)), axis=0)
    backbone = (walk + generator.normal(size=(length, 4, 3))).astype(np.float32)
    return NewChain(
        name=f"chain{number}",
        backbone=backbone,
        sequence="A" * length,
        residue_numbers=np.arange(1, length + 1),
        split="train",
        cluster="one",
        shape=SHAPE,
    )


def write_store(path: Path, chains: Sequence[NewChain]) -> None:
    with StoreWriter(path, source="benchmark") as writer:
        for chain in chains:
            writer.add(chain)


def write_text(folder: Path, chain: NewChain) -> Path:
    path = folder / f"{chain.name}.npy"
    with path.open("w") as file:
        np.savetxt(file, chain.backbone[:, :3].reshape(-1, 3), delimiter=",", fmt="%.3f")
    return path


def size_of(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
