"""Peptides: a masked language model of residues, and diffusion over what it makes of them."""
