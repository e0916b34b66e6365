"""Bridges to optional packages and other programs."""
