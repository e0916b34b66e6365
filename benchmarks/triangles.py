"""Triangle operations of factorised and sparse pairs: time against dense, error on real chains.

    python benchmarks/triangles.py [--length 1024] [--rank 8] [--channels 128] [--threads 1]
    python benchmarks/triangles.py --chains FOLDER [--longest 160]

The first form times the triangle product of factors against the dense contraction of the same
factors, forward, in CPU seconds of one run, and prints how far they are apart.

The second measures what sparse pairs, projected attention and recompression leave out: blocks with
random weights work on pair features (network of features with random weights) of the chains in a
folder of structure files, once dense and once not. The number is the root mean square difference
of the updates over that of the dense one, at the listed pairs.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from foldwright.nn.axial_attention import AxialAttention
from foldwright.nn.factor_attention import FactorizedRowAttention, span_projector
from foldwright.nn.neighbours import choose_neighbours
from foldwright.nn.pair import FactorizedPair, SparsePair
from foldwright.nn.pair_recompression import add_pairs, truncate_rank
from foldwright.nn.pair_triangle import FactorizedTriangleMultiplication, multiply_triangles
from foldwright.nn.sparse_triangle import SparseRowAttention, SparseTriangleMultiplication
from foldwright.nn.triangle import TriangleAttention, TriangleMultiplication
from foldwright.structure.io import read_structure

_CHANNELS = 32
_SUFFIXES = (".pdb", ".cif", ".bcif", ".pdb.gz", ".cif.gz", ".bcif.gz")


def seconds_of(call: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """CPU seconds of one call, and what it returned."""
    start = time.process_time()
    out = call()
    return time.process_time() - start, out


def compare_products(n: int, rank: int, channels: int) -> None:
    """Time the exact product of factors and the dense contraction of the same pair tensors."""
    generator = torch.Generator().manual_seed(0)
    f, g, p, q = (
        torch.randn(1, n, rank, channels, generator=generator) / rank**0.5 for _ in range(4)
    )
    a, b = FactorizedPair(f, g), FactorizedPair(p, q)
    multiply_triangles(a, b, direction="outgoing")
    fast, product = seconds_of(lambda: multiply_triangles(a, b, direction="outgoing").left)
    # channel after channel, so that a few pair matrices are all the memory it takes
    slow, worst, size = 0.0, 0.0, 0.0
    for c in range(channels):
        one, two = f[0, :, :, c] @ g[0, :, :, c].T, p[0, :, :, c] @ q[0, :, :, c].T
        taken, dense = seconds_of(lambda one=one, two=two: one @ two.T)
        slow += taken
        worst = max(worst, (product[0, :, :, c] @ p[0, :, :, c].T - dense).abs().max().item())
        size = max(size, dense.abs().max().item())
    print(f"n = {n}, rank {rank}, {channels} channels, float32, {torch.get_num_threads()} threads")
    print(
        f"factors {fast * 1e3:10.2f} ms CPU   dense {slow * 1e3:10.0f} ms CPU, its n^3 part alone"
    )
    print(f"{slow / fast:.0f} times faster; largest difference {worst / size:.1e} of the largest")


def with_random_weights(block: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Fill every weight matrix: blocks end in zeros when they are fresh."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in block.parameters():
        if parameter.dim() > 1:
            parameter.data = torch.randn(parameter.shape, generator=generator)
            parameter.data /= parameter.shape[-1] ** 0.5
    return block.eval()


def pair_features(ca: Tensor) -> Tensor:
    """A pair tensor (1 n n c) of a chain: smooth functions of distance and separation, mixed."""
    n = len(ca)
    distance = torch.cdist(ca, ca)[..., None]
    place = torch.arange(n)
    separation = (place[:, None] - place).clamp(-32, 32)[..., None] / 8
    centres = torch.linspace(0, 30, 24)
    basis = torch.cat([torch.exp(-(((distance - centres) / 3) ** 2)), separation.tanh()], dim=-1)
    mix = torch.randn(basis.shape[-1], _CHANNELS, generator=torch.Generator().manual_seed(1))
    return (basis @ mix)[None]


def error(found: Tensor, wanted: Tensor) -> float:
    """Root mean square difference over root mean square."""
    return ((found - wanted).square().mean() / wanted.square().mean()).sqrt().item()


def sparse_errors(ca: Tensor, count: int) -> dict[str, float]:
    """Errors of sparse blocks with `count` neighbours against the dense blocks."""
    z = pair_features(ca)
    n, real = len(ca), torch.ones(1, len(ca), dtype=torch.bool)
    index, present = choose_neighbours(ca[None], real, count=count, choice="hybrid")
    places = index[..., None].expand(-1, -1, -1, _CHANNELS)
    pair = SparsePair(z.gather(2, places), index, present)
    every = torch.ones(1, n, n, dtype=torch.bool)
    found = {}
    for direction in ("outgoing", "incoming"):
        block = with_random_weights(
            TriangleMultiplication(_CHANNELS, _CHANNELS, direction=direction)
        )
        found[f"multiplication {direction}"] = error(
            SparseTriangleMultiplication(block)(pair), block(z, every).gather(2, places)
        )
    for name, kind in (("triangle", TriangleAttention), ("axial", AxialAttention)):
        for node in ("starting", "ending"):
            block = with_random_weights(kind(_CHANNELS, 8, num_heads=4, node=node))
            found[f"{name} attention {node}"] = error(
                SparseRowAttention(block)(pair), block(z, every).gather(2, places)
            )
    return found


def factor_errors(ca: Tensor, rank: int) -> dict[str, float]:
    """What factors of one rank leave out, of a pair and of the updates of its blocks."""
    z = pair_features(ca)
    u, s, v = torch.linalg.svd(z[0].permute(2, 0, 1))
    left = (u[..., :rank] * s[:, None, :rank].sqrt()).permute(1, 2, 0)[None]
    right = (v[:, :rank].transpose(1, 2) * s[:, None, :rank].sqrt()).permute(1, 2, 0)[None]
    pair, mask = FactorizedPair(left, right), torch.ones(1, len(ca), dtype=torch.bool)
    attention = FactorizedRowAttention(
        with_random_weights(TriangleAttention(_CHANNELS, 8, num_heads=4, node="starting"))
    )
    dense = attention.materialised_update(pair, mask)
    weights = torch.einsum("bijc,bjrc->birc", dense, span_projector(right, mask))
    block = with_random_weights(
        FactorizedTriangleMultiplication(_CHANNELS, _CHANNELS, direction="outgoing")
    )
    update = block(pair, mask)
    total = add_pairs(pair, update)
    whole = total.materialise()
    halves = FactorizedPair(pair.left + update.left, pair.right + update.right)
    return {
        "pair itself": error(pair.materialise(), z),
        "attention update, projected": error(FactorizedPair(weights, right).materialise(), dense),
        "sum, truncated": error(truncate_rank(total, rank).materialise(), whole),
        "sum, fresh mix": error(halves.materialise(), whole),
    }


def chains(folder: Path, longest: int) -> list[Tensor]:
    """C-alpha traces of the first chains of the structure files, without missing residues."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(_SUFFIXES):
            for chain in read_structure(path).protein_chains[:1]:
                ca = torch.as_tensor(chain.ca, dtype=torch.float32)
                ca = ca[torch.isfinite(ca).all(-1)]
                if 40 <= len(ca) <= longest:
                    found.append(ca)
    return found


def print_errors(name: str, measured: list[dict[str, float]]) -> None:
    """One line per operation: the mean over chains."""
    for operation in measured[0]:
        mean = sum(errors[operation] for errors in measured) / len(measured)
        print(f"{name:16} {operation:32} {mean:8.3f}", flush=True)


@torch.no_grad()
def main() -> None:
    """Print times, or errors where a folder of chains is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--chains", type=Path, help="folder of structure files: measure errors")
    parser.add_argument("--longest", type=int, default=160)
    parser.add_argument("--limit", type=int, default=10, help="chains at most")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.chains is None:
        compare_products(given.length, given.rank, given.channels)
        return
    traces = chains(given.chains, given.longest)[: given.limit]
    print(f"{len(traces)} chains of {min(map(len, traces))} to {max(map(len, traces))} residues")
    for count in (16, 32, 64, given.longest):
        print_errors(f"{count} neighbours", [sparse_errors(ca, count) for ca in traces])
    for rank in (2, 4, 8, 16):
        print_errors(f"rank {rank}", [factor_errors(ca, rank) for ca in traces])


if __name__ == "__main__":
    main()
