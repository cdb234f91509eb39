"""Dialects: what sessions speak."""
