"""Sequences: the alphabet of residues and FASTA files."""
