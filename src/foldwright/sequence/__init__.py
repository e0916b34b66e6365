"""Alphabets and sequence files."""
