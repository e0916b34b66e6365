"""Build the training store of the bundled backbone model from packed chains.

    python recipes/bundled_backbone/make_store.py chains.npz index.csv store/

The `.npz` holds `coords` (R, 4, 3) N, CA, C, O in Å with NaN for a missing atom, `seq` and
`resnum` (R), `offsets` (chains + 1); the table has one row per chain in the same order with the
columns name, split, cluster40, resolution and source. Split and cluster are kept as they are.
Chains are left out that are shorter or longer than asked for, mostly coil, or far from globular:
a small model learns little from them but to imitate them.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import expected_rg, measure_shape
from foldwright.data.store import NewChain, StoreWriter


def main() -> None:
    """Read the packed chains named on the command line and write the store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chains", type=Path, help="packed chains (.npz)")
    parser.add_argument("index", type=Path, help="table of the chains (.csv)")
    parser.add_argument("out", type=Path, help="folder of the store")
    parser.add_argument("--min-length", type=int, default=40)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--max-coil", type=float, default=0.65, help="share of residues")
    parser.add_argument("--max-rg-ratio", type=float, default=1.35, help="over 2.2 L^0.38 Å")
    arguments = parser.parse_args()
    with arguments.index.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(arguments.chains) as packed:
        arrays = {name: packed[name] for name in ("coords", "seq", "resnum", "offsets")}
    if len(arrays["offsets"]) != len(rows) + 1:
        parser.error(f"{len(rows)} rows in the table, {len(arrays['offsets']) - 1} chains")
    with StoreWriter(arguments.out, source=f"{arguments.chains.name}, all chains") as writer:
        kept = 0
        for number, row in enumerate(rows):
            chain = _new_chain(arrays, number, row)
            if _wanted(chain, arguments):
                writer.add(chain)
                kept += 1
    print(f"{arguments.out}: {kept} of {len(rows)} chains")


def _wanted(chain: NewChain, arguments: argparse.Namespace) -> bool:
    length = len(chain.backbone)
    return (
        arguments.min_length <= length <= arguments.max_length
        and chain.shape.coil <= arguments.max_coil
        and chain.shape.rg <= arguments.max_rg_ratio * expected_rg(length)
    )


def _new_chain(arrays: dict[str, np.ndarray], number: int, row: dict[str, str]) -> NewChain:
    start, end = arrays["offsets"][number : number + 2]
    backbone = arrays["coords"][start:end]
    return NewChain(
        name=row["name"],
        backbone=backbone,
        sequence=arrays["seq"][start:end].tobytes().decode("ascii"),
        residue_numbers=arrays["resnum"][start:end],
        split=row["split"],
        cluster=row["cluster40"],
        shape=measure_shape(backbone[:, 1]),
        resolution=float(row["resolution"]) if row["resolution"] else None,
        origin=row["source"],
    )


if __name__ == "__main__":
    main()
