from foldwright.chem.elements import ELEMENT_SYMBOLS
from foldwright.chem.residues import (
    AMINO_ACIDS,
    MODIFIED_AMINO_ACIDS,
    PROTEIN_LETTERS,
    THREE_LETTER_NAMES,
    WATERS,
    nucleotide_letter,
    protein_letter,
)
from foldwright.structure.io.biotite_adapter import polymer_component

# Names of force fields and two residues that have a letter of their own outside the 20.
NOT_AS_IN_THE_DICTIONARY = {"CYX", "CYM", "HID", "HIE", "HSD", "ASH", "GLH", "LYN", "SEC", "PYL"}


def test_twenty_letters_and_back() -> None:
    assert "".join(sorted(AMINO_ACIDS.values())) == "ACDEFGHIKLMNPQRSTVWY"
    assert PROTEIN_LETTERS == "ACDEFGHIKLMNPQRSTVWYX"
    assert all(protein_letter(THREE_LETTER_NAMES[letter]) == letter for letter in PROTEIN_LETTERS)


def test_modified_residues_carry_the_letter_of_their_parent() -> None:
    expected = {"MSE": "M", "SEP": "S", "TPO": "T", "PTR": "Y", "CSO": "C", "DAL": "A", "PCA": "Q"}
    assert {name: protein_letter(name) for name in expected} == expected
    assert protein_letter("UNK") == "X"
    assert protein_letter("HEM") is None


def test_nucleotides() -> None:
    names = ("A", "DA", "U", "DT", "DN", "N", "ALA")
    assert [nucleotide_letter(name) for name in names] == ["A", "A", "U", "T", "N", "N", None]


def test_tables_do_not_overlap() -> None:
    assert not set(MODIFIED_AMINO_ACIDS) & set(AMINO_ACIDS)
    assert not WATERS & {*AMINO_ACIDS, *MODIFIED_AMINO_ACIDS}


def test_table_agrees_with_the_chemical_component_dictionary() -> None:
    """Every name is an amino acid there too, with the same parent."""
    names = [*AMINO_ACIDS, *MODIFIED_AMINO_ACIDS]
    from_dictionary = {
        name: polymer_component(name) for name in names if name not in NOT_AS_IN_THE_DICTIONARY
    }
    disagreeing = {
        name: component
        for name, component in from_dictionary.items()
        if component is None or component != ("protein", protein_letter(name))
    }
    assert disagreeing == {}


def test_elements_are_upper_case_and_hold_deuterium() -> None:
    assert {"H", "D", "C", "SE", "ZN"} <= ELEMENT_SYMBOLS
    assert all(symbol == symbol.upper() for symbol in ELEMENT_SYMBOLS)
    assert len(ELEMENT_SYMBOLS) == 98 + 1  # hydrogen to californium, and deuterium
