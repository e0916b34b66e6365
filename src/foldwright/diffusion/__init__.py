"""Noise processes, parameterisations and samplers; they know time, not networks."""
