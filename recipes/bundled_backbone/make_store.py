"""Build the training store of the bundled backbone model from packed chains.

    python recipes/bundled_backbone/make_store.py chains.npz index.csv store/

The `.npz` holds `coords` (R, 4, 3) N, CA, C, O in Å with NaN for a missing atom, `seq` and
`resnum` (R), `offsets` (chains + 1); the table has one row per chain in the same order with the
columns name, split, cluster40, resolution and source. Split and cluster are kept as they are.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from foldwright.data.chain_shape import measure_shape
from foldwright.data.store import NewChain, StoreWriter


def main() -> None:
    """Read the packed chains named on the command line and write the store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chains", type=Path, help="packed chains (.npz)")
    parser.add_argument("index", type=Path, help="table of the chains (.csv)")
    parser.add_argument("out", type=Path, help="folder of the store")
    arguments = parser.parse_args()
    with arguments.index.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(arguments.chains) as packed:
        arrays = {name: packed[name] for name in ("coords", "seq", "resnum", "offsets")}
    if len(arrays["offsets"]) != len(rows) + 1:
        parser.error(f"{len(rows)} rows in the table, {len(arrays['offsets']) - 1} chains")
    with StoreWriter(arguments.out, source=f"{arguments.chains.name}, all chains") as writer:
        for number, row in enumerate(rows):
            writer.add(_new_chain(arrays, number, row))
    print(f"{arguments.out}: {len(rows)} chains, {arrays['offsets'][-1]} residues")


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
