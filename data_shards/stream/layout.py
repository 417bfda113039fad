"""From a corpus's own grid and channels to those of the model.

Axes: T frames, C channels of the model, H = W = R cells of the model.
Every frame is resized bilinearly (align_corners=False), the obstacle mask
follows the fields as one more channel where the card says so, and the channels
that are left over are filled with ones. Source: MoE-POT's preparation.
Departure: the resized obstacle counts as solid from one half on, so that
`valid_mask` stays binary.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.errors import UserError


class ModelLayout(Config):
    """The grid and channel count a model takes."""

    resolution: PositiveInt
    channels: PositiveInt = 4


def check_fits(card: CorpusCard, layout: ModelLayout) -> None:
    """Refuse a corpus that the model cannot take.

    Raises:
        UserError: three dimensions, or more channels (with the obstacle mask, if it is one)
            than the layout's.
    """
    if len(card.native_grid) == 3:
        raise UserError(
            f"corpus {card.name} is three-dimensional, the model takes planes; leave it out"
        )
    needed = len(card.channels) + card.mask_as_channel
    if needed > layout.channels:
        mask = " and an obstacle mask" if card.mask_as_channel else ""
        raise UserError(
            f"corpus {card.name} has {len(card.channels)} channels{mask}, the model takes "
            f"{layout.channels}; raise the model's channels to {needed} or leave the corpus out"
        )


def asked_mask(card: CorpusCard, layout: ModelLayout) -> Tensor:
    """1 for channels that are predicted and scored, 0 for the rest, (C,)."""
    mask = torch.zeros(layout.channels)
    mask[: len(card.channels)] = 1.0
    return mask


def resize(frames: NDArray[np.floating], resolution: int) -> Tensor:
    """Frames (T, C, H, W) on an R x R grid, bilinear; a copy, float32."""
    result = np.empty((*frames.shape[:2], resolution, resolution), np.float32)
    _fit(result, frames)
    return torch.from_numpy(result)


def _fit(out: NDArray[np.float32], frames: NDArray[np.floating]) -> None:
    """Write frames (T, C, H, W) into (T, C, R, Q), resized if need be."""
    if frames.shape[-2:] == out.shape[-2:]:
        out[:] = frames  # one copy, from the page cache to the batch
        return
    from data_shards.resize import resize_into  # loads numba, which takes half a second

    resize_into(out, frames.astype(np.float32, copy=False))


def resize_mask(mask: NDArray[np.floating], resolution: int) -> Tensor:
    """Fluid fraction of every cell of the model's grid, (R, R) in [0, 1]."""
    return resize(mask[None, None], resolution)[0, 0]


def fill_frames(out: Tensor, fields: NDArray[np.floating], fluid: Tensor, card: CorpusCard) -> None:
    """Write frames in the model's layout into an existing tensor.

    Args:
        out: (T, C, R, R), overwritten whole.
        fields: (T, channels of the card, H, W).
        fluid: (R, R), from `resize_mask`.
        card: card of the corpus.
    """
    native = fields.shape[1]
    _fit(out.numpy()[:, :native], fields)
    if card.mask_as_channel:
        out[:, native] = fluid
    out[:, native + card.mask_as_channel :] = 1.0


def to_model_layout(
    fields: NDArray[np.floating],
    mask: NDArray[np.floating],
    card: CorpusCard,
    layout: ModelLayout,
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames of one trajectory as the model takes them.

    Args:
        fields: (T, channels of the card, H, W), physical units.
        mask: (H, W), 1 in the fluid, 0 in solid cells.
        card: card of the corpus.
        layout: grid and channels of the model.

    Returns:
        Fields (T, C, R, R) float32; channel mask (C,); valid mask (1, R, R), binary.

    Raises:
        UserError: the fields are not of the card's shape, or do not fit into the layout.
    """
    check_fits(card, layout)
    if fields.ndim != 4 or fields.shape[1] != len(card.channels):
        raise UserError(
            f"corpus {card.name}: fields are {fields.shape}, wanted (T, {len(card.channels)}, H, W)"
            f" with channels {', '.join(card.channel_names)}"
        )
    size = layout.resolution
    out = torch.empty(fields.shape[0], layout.channels, size, size)
    fluid = resize_mask(mask, size)
    fill_frames(out, fields, fluid, card)
    return out, asked_mask(card, layout), (fluid >= 0.5).float()[None]
