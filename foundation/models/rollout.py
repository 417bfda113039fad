"""Autoregressive rollout: a context in, many future frames out.

Axes: B samples, T frames, C channels, S the grid of one to three axes. The one
function that training, evaluation and `forecast` share.
Departure: the published code feeds everything it predicts back. Here, channels
that are not predicted (padding, an obstacle mask) and solid cells are carried
over from the context, as they never change. Of no paper: a gate that sees the context keeps to
what it decided by the given frames, as a forecast's own errors would look to it like another flow.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.physics.norms import space

Model = Callable[[Batch], Prediction]


def rollout(model: Model, batch: Batch, steps: int) -> Tensor:
    """Predict `steps` frames, feeding predictions back as context.

    Args:
        model: maps a batch to the frames that follow its context.
        batch: context (B, T_in, C, *S) and masks; what is asked is not looked at.
        steps: number of frames wanted.

    Returns:
        (B, steps, C_out, *S).

    Raises:
        UserError: what is asked are other channels than the given ones, so that nothing can be
            fed back, and more frames are wanted than one call gives.
    """
    if batch.asked_mask.shape[1] != batch.given.shape[2]:
        return _called_once(model, batch, steps)
    last = batch.given[:, -1:]
    grid = (None,) * len(space(batch.given))
    predicted_B1CS = batch.asked_mask[:, None, :, *grid] * batch.valid_mask[:, None] > 0
    context, num_given = batch.given, batch.given.shape[1]
    routed_by = batch.given if batch.routed_by is None else batch.routed_by
    frames: list[Tensor] = []
    made = 0
    while made < steps:
        fields = model(replace(batch, given=context, routed_by=routed_by)).fields
        fields = torch.where(predicted_B1CS, fields, last)
        frames.append(fields)
        made += fields.shape[1]
        context = torch.cat([context, fields], dim=1)[:, -num_given:]
    return torch.cat(frames, dim=1)[:, :steps]


def _called_once(model: Model, batch: Batch, steps: int) -> Tensor:
    fields = model(batch).fields
    if steps > fields.shape[1]:
        raise UserError(
            f"{steps} frames wanted of a model that predicts {fields.shape[1]} of other channels "
            f"than it is given; ask for at most {fields.shape[1]}"
        )
    return fields[:, :steps]
