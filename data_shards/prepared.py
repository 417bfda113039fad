"""How MoE-POT's and DPOT's preparation orders axes and channels of a corpus: a card in, facts out.

Their first spatial axis is x, but for corpora whose raw arrays came as rows and columns and were
not turned: FNO (through h5py's reversed axes), CFDBench and PDEBench's diffusion-reaction have y
first. Channels of PDEArena are smoke, vx, vy, CFDBench's mask is behind u and v; all others come
in the card's order.
"""

import numpy as np
from numpy.typing import NDArray

from data_shards.card import MASK, CorpusCard

_ROWS_FIRST = ("fno_ns", "cfdbench", "pdebench_dr")  # beginnings of names of corpora
_CHANNELS = {"pdearena_ns": ("density", "vx", "vy"), "cfdbench": ("u", "v", MASK)}


def rows_first(card: CorpusCard) -> bool:
    """Whether y comes before x."""
    return card.name.startswith(_ROWS_FIRST)


def channels_in_order(card: CorpusCard) -> tuple[str, ...]:
    """All channels of a prepared file, the obstacle mask among them where it has one."""
    for start, names in _CHANNELS.items():
        if card.name.startswith(start):
            return names
    return (*card.channel_names, *((MASK,) if card.mask_as_channel else ()))


def mask_fits(mask: NDArray[np.floating], card: CorpusCard) -> bool:
    """Whether a mask is of zeros and ones, or of shares of the fluid where theirs are kept."""
    options = {} if card.published is None else card.published.options
    if options.get("preparation") == "reference" or options.get("mask") == "fractional":
        return bool(((mask >= 0) & (mask <= 1)).all())
    return bool(np.isin(mask, (0, 1)).all())
