"""Foldwright: generate, train and check proteins on the hardware people have."""
