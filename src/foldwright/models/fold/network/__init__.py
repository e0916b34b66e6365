"""The layers of the fold network (Abramson et al. 2024), from blocks to the whole."""
