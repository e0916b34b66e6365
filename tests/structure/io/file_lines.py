"""Lines of PDB and rows of mmCIF files, written out by hand."""

from collections.abc import Iterable
from pathlib import Path

_COLUMNS = (
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_seq_id "
    "pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id "
    "pdbx_PDB_model_num"
)
_USUAL = "ATOM 1 C CA . ALA A 1 ? 0 0 0 1 10 1 A 1"
SITE_COLUMNS = _COLUMNS.split()


def pdb_atom(
    name: str,
    residue: str,
    number: int,
    x: float = 0.0,
    *,
    chain: str = "A",
    altloc: str = " ",
    code: str = " ",
    record: str = "ATOM",
    occupancy: float = 1.0,
    tail: str | None = None,
) -> str:
    """One atom at (x, 0, 0); `tail` replaces everything after the coordinates."""
    columns = f" {name:<3}" if len(name) < 4 else name
    if tail is None:
        tail = f"{occupancy:6.2f} 10.00          {name[0]:>2}  "
    return (
        f"{record:<6}{1:>5} {columns}{altloc}{residue:>3} {chain}{number:>4}{code}   "
        f"{x:8.3f}{0:8.3f}{0:8.3f}{tail}"
    )


def pdb_residue(residue: str, number: int, x: float, **options: str) -> list[str]:
    """N, CA and C in a row; bonded to the next residue where x steps by 3.8 Å."""
    places = {"N": x - 1.25, "CA": x, "C": x + 1.25}
    return [pdb_atom(name, residue, number, place, **options) for name, place in places.items()]


def cif_row(**values: object) -> list[str]:
    """One row of atom_site: CA of ALA 1 in chain A unless told otherwise."""
    usual = dict(zip(SITE_COLUMNS, _USUAL.split(), strict=True))
    return [str({**usual, **values}[column]) for column in SITE_COLUMNS]


def cif_lines(rows: Iterable[list[str]], *, without: tuple[str, ...] = ()) -> list[str]:
    """A minimal mmCIF file, without the columns named."""
    kept = [index for index, column in enumerate(SITE_COLUMNS) if column not in without]
    head = [f"_atom_site.{SITE_COLUMNS[index]}" for index in kept]
    body = [" ".join(row[index] for index in kept) for row in rows]
    return ["data_made", "#", "loop_", *head, *body, "#"]


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write lines to a file and give its path."""
    path.write_text("\n".join(lines) + "\n")
    return path
