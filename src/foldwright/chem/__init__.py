"""Tables of facts about residues and atoms; no mathematics, no files."""
