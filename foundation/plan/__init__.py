"""Seconds of an optimiser step on a cluster that need not be at hand: counts in, a forecast out."""
