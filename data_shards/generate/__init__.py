"""Generators of the corpora: own solvers, reproducible by (seed, split, index)."""

from data_shards.generate.checks import SimulationError
from data_shards.generate.simulation import simulate

__all__ = ["SimulationError", "simulate"]
