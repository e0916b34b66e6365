"""Reading and writing PDB, mmCIF and BinaryCIF through one library adapter."""

from foldwright.structure.io.reading import read_structure
from foldwright.structure.io.writing import write_structure

__all__ = ["read_structure", "write_structure"]
