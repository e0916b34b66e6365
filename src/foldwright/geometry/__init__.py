"""Coordinate mathematics without weights: frames, superposition, torsions, scores."""
