"""Frames of one trajectory as a model takes them, without a stream or a judge."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.stream.assemble import Samples, to_batch
from data_shards.stream.layout import ModelLayout, placement_of, resize_mask
from data_shards.stream.origin import Origin


def laid_out(
    fields: NDArray[np.float32],
    mask: NDArray[np.float32],
    card: CorpusCard,
    layout: ModelLayout,
    parameters: dict[str, float] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (T, C, *S), asked mask (C,), valid mask (1, *S)."""
    fluid = resize_mask(mask, layout.grid)[None]
    placement = placement_of(card, layout)
    origin = Origin(parameters=parameters)
    batch = to_batch([Samples([fields], None, fluid, placement, ("",), (origin,))], layout)
    return batch.given[0], batch.asked_mask[0], batch.valid_mask[0]
