"""Reading and writing PDB, mmCIF and BinaryCIF through one library adapter."""
