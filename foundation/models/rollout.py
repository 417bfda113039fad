"""Autoregressive rollout: a context in, many future frames out.

Axes: B samples, T frames, C channels, H rows, W columns. The one function
that training, evaluation and `forecast` share.
Departure: the published code feeds everything it predicts back. Here, channels
that are not predicted (padding, an obstacle mask) and solid cells are carried
over from the context, as they never change.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from foundation.models.types import Prediction

Model = Callable[[Batch], Prediction]


def rollout(model: Model, batch: Batch, steps: int) -> Tensor:
    """Predict `steps` frames, feeding predictions back as context.

    Args:
        model: maps a batch to the frames that follow its context.
        batch: context (B, T_in, C, H, W) and masks; its target is not looked at.
        steps: number of frames wanted.

    Returns:
        (B, steps, C, H, W).
    """
    last = batch.given[:, -1:]
    predicted_B1CHW = batch.asked_mask[:, None, :, None, None] * batch.valid_mask[:, None]
    predicted_B1CHW = predicted_B1CHW > 0
    context = batch.given
    frames: list[Tensor] = []
    while sum(frame.shape[1] for frame in frames) < steps:
        fields = model(replace(batch, given=context)).fields
        fields = torch.where(predicted_B1CHW, fields, last)
        frames.append(fields)
        context = torch.cat([context, fields], dim=1)[:, -batch.given.shape[1] :]
    return torch.cat(frames, dim=1)[:, :steps]
