"""Residue names, one-letter codes and the parents of modified residues.

The tables cover what files are full of; the complete answer for rare names is the wwPDB Chemical
Component Dictionary, which `structure.io` asks for names that are not here.
"""

from types import MappingProxyType

AMINO_ACIDS = MappingProxyType(
    {
        "ALA": "A",
        "ARG": "R",
        "ASN": "N",
        "ASP": "D",
        "CYS": "C",
        "GLN": "Q",
        "GLU": "E",
        "GLY": "G",
        "HIS": "H",
        "ILE": "I",
        "LEU": "L",
        "LYS": "K",
        "MET": "M",
        "PHE": "F",
        "PRO": "P",
        "SER": "S",
        "THR": "T",
        "TRP": "W",
        "TYR": "Y",
        "VAL": "V",
    }
)
"""The 20 standard amino acids: three-letter name to one-letter code."""

UNKNOWN_LETTER = "X"
UNKNOWN_AMINO_ACID = "UNK"
PROTEIN_LETTERS = "".join(sorted(AMINO_ACIDS.values())) + UNKNOWN_LETTER
"""Every letter that a protein sequence here may hold."""

THREE_LETTER_NAMES = MappingProxyType(
    {letter: name for name, letter in AMINO_ACIDS.items()} | {UNKNOWN_LETTER: UNKNOWN_AMINO_ACID}
)

NUCLEOTIDES = MappingProxyType(
    {"A": "A", "C": "C", "G": "G", "U": "U", "DA": "A", "DC": "C", "DG": "G", "DT": "T"}
)
"""Standard nucleotides, RNA (`A`) and DNA (`DA`): name to one-letter code."""

UNKNOWN_NUCLEOTIDE_LETTER = "N"
UNKNOWN_NUCLEOTIDES = frozenset({"N", "DN"})
NUCLEOTIDE_LETTERS = "ACGTU" + UNKNOWN_NUCLEOTIDE_LETTER

WATERS = frozenset({"HOH", "DOD", "H2O", "D2O", "WAT", "TIP", "TP3", "SOL"})
"""Names of water molecules, simulation packages included."""

_MODIFIED_BY_PARENT = {
    "ALA": "DAL AIB ABA MAA",
    "ARG": "DAR AGM CIR 2MR",
    "ASN": "DSG MEN AHB",
    "ASP": "DAS PHD IAS ASH BHD",
    "CYS": "DCY CSO CSD CME OCS CSX CAS SMC SCY CSS CYX CYM YCM SNC CSW CCS CSU SEC",
    "GLN": "DGN PCA MEQ",
    "GLU": "DGL CGU GLH 5HP GMA",
    "GLY": "SAR GL3",
    "HIS": "DHI HIC NEP HIP HID HIE HSD MHS",
    "ILE": "DIL IIL",
    "LEU": "DLE NLE MLE",
    "LYS": "DLY MLY M3L MLZ KCX ALY LLP LYZ LYN PYL SLZ",
    "MET": "MED MSE FME MHO SME MME",
    "PHE": "DPN PHI MEA",
    "PRO": "DPR HYP",
    "SER": "DSN SEP SAC",
    "THR": "DTH TPO BMT",
    "TRP": "DTR TRQ HTR FTR",
    "TYR": "DTY PTR TYS TPQ IYR TYI TYQ",
    "VAL": "DVA MVA",
}

MODIFIED_AMINO_ACIDS = MappingProxyType(
    {name: parent for parent, names in _MODIFIED_BY_PARENT.items() for name in names.split()}
)
"""Common modified, D- and force-field amino acids: name to the standard amino acid behind it.

Selenocysteine counts as cysteine and pyrrolysine as lysine: sequences keep 20 letters and X.
"""


def protein_letter(name: str) -> str | None:
    """One-letter code of an amino acid in these tables, the parent's for a modified one.

    `UNK` gives `X`; a name that is not in the tables gives None.
    """
    if name == UNKNOWN_AMINO_ACID:
        return UNKNOWN_LETTER
    return AMINO_ACIDS.get(MODIFIED_AMINO_ACIDS.get(name, name))


def nucleotide_letter(name: str) -> str | None:
    """One-letter code of a standard nucleotide, `N` for an unknown one, None for other names."""
    if name in UNKNOWN_NUCLEOTIDES:
        return UNKNOWN_NUCLEOTIDE_LETTER
    return NUCLEOTIDES.get(name)
