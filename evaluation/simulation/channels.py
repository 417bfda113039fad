"""Channels of a simulation: their units, and another order than a model was trained on.

A model knows channels by their place alone. Where a corpus of its training has channels of the
same names, their order is the one that it knows.
"""

from data_shards.card import Channel
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from foundation import Surrogate


def channels_of(simulation: Simulation) -> tuple[Channel, ...]:
    """Names with units: those that the file gives the arrays that the channels are of, or 1."""
    layout = simulation.layout
    each = len(simulation.channels) // len(layout.arrays)
    words = layout.attributes or ({},) * len(layout.arrays)
    units = [about.get("units", "1") for about in words for _ in range(each)]
    return tuple(
        Channel(name=name, unit=unit) for name, unit in zip(simulation.channels, units, strict=True)
    )


def order_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """A line for every order of the same channels that the model was trained on instead.

    Args:
        model: that names the corpora of its training.
        simulation: with names of its channels.
    """
    arrays = simulation.layout.arrays
    one_each = len(arrays) == len(simulation.channels)
    names = arrays if one_each else simulation.channels
    own = dict(zip(map(str.lower, simulation.channels), names, strict=True))
    remedy = "--channels " if one_each else "save them as "
    orders: dict[tuple[str, ...], list[str]] = {}
    for corpus in model.about.get("corpora", ()):
        known = _channels_of(corpus)
        if sorted(known) == sorted(own):
            orders.setdefault(known, []).append(corpus)
    if not orders or tuple(own) in orders:
        return ()
    return tuple(
        f"the model knows these channels in another order, as in {', '.join(corpora)}: "
        f"{remedy}{','.join(own[name] for name in order)}"
        for order, corpora in orders.items()
    )


def _channels_of(corpus: str) -> tuple[str, ...]:
    """Names in lower case; none of a corpus without a card."""
    try:
        return tuple(name.lower() for name in load_card(corpus).channel_names)
    except UserError:
        return ()
