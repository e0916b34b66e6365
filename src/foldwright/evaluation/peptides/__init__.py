"""Scores of sets of peptides against real ones; no model is imported here, judges are passed in."""
