"""Data sets: fetching, preparing, storing and batching chains."""
