"""Training losses: a prediction and its batch in, scalars out.

Axes: B samples, T frames, C channels, H rows, W columns; E routed experts.
Source: MoE-POT, losses and optimiser. Departure: the published training scores
padded channels and solid cells too (`mask: reference`); the default scores
what is real (`mask: valid`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F

from data_shards.batch import Batch
from data_shards.config import Config
from foundation.models.types import Prediction
from foundation.moe.balance import BalanceLoss, balance_loss, importance
from foundation.physics.norms import relative_l2


class LossConfig(Config):
    """What is minimised."""

    mask: Literal["valid", "reference"] = "valid"
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


def next_frame_error(fields: Tensor, batch: Batch, mask: Literal["valid", "reference"]) -> Tensor:
    """Relative L2 error per sample (B,), averaged over the channels the mask leaves.

    Args:
        fields: predicted frames (B, T, C, H, W).
        batch: its target and masks.
        mask: which channels and cells count.
    """
    if mask == "reference":
        return relative_l2(fields, batch.target).mean(dim=1)
    points = batch.channel_mask[:, None, :, None, None] * batch.valid_mask[:, None]
    error_BC = relative_l2(fields, batch.target, points)
    return error_BC.sum(dim=1) / batch.channel_mask.sum(dim=1)


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
    per_sample = next_frame_error(prediction.fields, batch, config.mask)
    total = per_sample.mean()
    balance = total.new_zeros(())
    if prediction.routing:
        importance_LE = torch.stack([importance(r.weights_BE) for r in prediction.routing])
        importance_LE = sum_over_ranks(importance_LE)
        balance = torch.stack([balance_loss(i, config.balance) for i in importance_LE]).sum()
        total = total + config.balance_weight * balance
    if config.class_weight:
        classes = F.cross_entropy(prediction.class_logits, batch.corpus_id)
        total = total + config.class_weight * classes
    return Losses(total, per_sample.detach(), balance.detach())
