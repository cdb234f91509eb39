"""Measures the server beside its peers: `python -m bench`."""
