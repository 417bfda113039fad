"""Experiments: runs that are trained and judged, each once, and kept."""
