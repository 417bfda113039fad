"""Channels of a simulation, with their units."""

from data_shards.card import Channel
from data_shards.simulation_file import Simulation


def channels_of(simulation: Simulation) -> tuple[Channel, ...]:
    """Names with units: those that the file gives the arrays that the channels are of, or 1."""
    layout = simulation.layout
    each = len(simulation.channels) // len(layout.arrays)
    words = layout.attributes or ({},) * len(layout.arrays)
    units = [about.get("units", "1") for about in words for _ in range(each)]
    return tuple(
        Channel(name=name, unit=unit) for name, unit in zip(simulation.channels, units, strict=True)
    )
