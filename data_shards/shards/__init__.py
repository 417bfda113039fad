"""Corpora on disk: written, indexed, verified, read back."""
