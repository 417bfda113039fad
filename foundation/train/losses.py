"""Training losses: a prediction and its batch in, scalars out.

Axes: B samples, T frames, C channels, H rows, W columns; E routed experts.
Source: MoE-POT, losses and optimiser. Departure: the published training scores
padded channels and solid cells too (`mask: reference`); the default scores
what is real (`mask: valid`). Addition: `relative_to: change` divides the error
by the truth's change since the last frame instead of by the truth, so that
corpora whose frames hardly differ weigh as much as those that change at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F

from data_shards.config import Config
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.moe.balance import BalanceLoss, balance_loss, importance
from foundation.physics.norms import relative_l2

LossMask = Literal["valid", "reference"]
RelativeTo = Literal["field", "change"]

_LEAST_CHANGE = 1e-3  # of the field's norm: what counts as change where nothing moves


class LossConfig(Config):
    """What is minimised."""

    mask: LossMask = "valid"
    relative_to: RelativeTo = "field"
    balance: BalanceLoss = "cv2"
    balance_weight: NonNegativeFloat = 0.1  # per block
    class_weight: NonNegativeFloat = 0.0  # of the auxiliary head; 0 as published
    noise: NonNegativeFloat = 5e-4  # see foundation/train/noise.py


@dataclass(frozen=True)
class Losses:
    """Parts of the loss of one batch.

    Attributes:
        total: what is minimised, scalar.
        per_sample: relative L2 error of the next frame (B,), detached.
        balance: sum over blocks of the balance loss, unweighted, detached scalar.
    """

    total: Tensor
    per_sample: Tensor
    balance: Tensor


def next_frame_error(fields: Tensor, batch: Batch, mask: LossMask, to: RelativeTo) -> Tensor:
    """Relative L2 error per sample (B,), averaged over the channels the mask leaves.

    Args:
        fields: predicted frames (B, T, C, H, W).
        batch: its context, target and masks.
        mask: which channels and cells count.
        to: relative to the truth, or to its change since the last frame of the context.
    """
    target = batch.asked
    scale = target if to == "field" else _change(batch)
    if mask == "reference":
        return relative_l2(fields, target, None, scale).mean(dim=1)
    points = batch.asked_mask[:, None, :, None, None] * batch.valid_mask[:, None]
    error_BC = relative_l2(fields, target, points, scale)
    return error_BC.sum(dim=1) / batch.asked_mask.sum(dim=1)


def _change(batch: Batch) -> Tensor:
    """Change since the last frame, no smaller anywhere than a trace of the field's size."""
    change = batch.asked - batch.given[:, -1:]
    size = batch.asked.square().mean((1, 3, 4), keepdim=True).sqrt()
    return (change.square() + (_LEAST_CHANGE * size).square()).sqrt()


def losses_of(
    prediction: Prediction,
    batch: Batch,
    config: LossConfig,
    sum_over_ranks: Callable[[Tensor], Tensor],
) -> Losses:
    """All parts of the loss of one batch.

    Args:
        prediction: of the model on `batch`.
        batch: with the target.
        config: weights and kinds.
        sum_over_ranks: differentiable; makes importance that of the whole global
            batch, without which the loss would depend on the number of ranks.
    """
    minimised = next_frame_error(prediction.fields, batch, config.mask, config.relative_to)
    total = minimised.mean()
    per_sample = minimised.detach()
    if config.relative_to != "field":
        per_sample = next_frame_error(prediction.fields.detach(), batch, config.mask, "field")
    balance = total.new_zeros(())
    if prediction.routing:
        importance_LE = torch.stack([importance(r.weights_BE) for r in prediction.routing])
        importance_LE = sum_over_ranks(importance_LE)
        balance = torch.stack([balance_loss(i, config.balance) for i in importance_LE]).sum()
        total = total + config.balance_weight * balance
    if config.class_weight:
        classes = F.cross_entropy(prediction.class_logits, batch.corpus_id)
        total = total + config.class_weight * classes
    return Losses(total, per_sample, balance.detach())
