"""Records of molecular structures; the file formats live in `structure.io`."""
