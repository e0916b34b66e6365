"""Scores of finished structures against natural reference values."""
