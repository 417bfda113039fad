"""Objectives by name: a prediction and its batch in, one value to minimise per sample out.

Axes: B samples, T frames, C channels, S the grid of one to three axes.
A new objective is a function and its line in `OBJECTIVES`. What a network gives
besides fields (`Prediction.terms`: a residual, an energy) is added to any of
them, weighed by ramps over the optimiser steps.
`residual` asks no solution: it is the error that a constrained network finds in its equation, its
initial frame and its ends, all of weight one, as published (PI-HC-MoE, ICLR 2024).
Source: `relative_l2` MoE-POT, losses and optimiser; `sum_of_squares` transfer
scaling (NeurIPS 2023), whose released code minimises it and reports relative L2. `sign_free` is for
eigenvectors, whose sign means nothing.
Samples of which nothing is asked (`data.unlabelled`) add nothing to an objective, and are counted
in its mean over a batch; the network's terms are of all samples.
Departure: published MoE-POT scores padded channels and solid cells too (`mask:
reference`); the default scores what is real (`mask: valid`). Addition:
`relative_to: change` divides the error by the truth's change since the last
frame instead of by the truth, so that corpora whose frames hardly differ weigh
as much as those that change at once. `terms` minimises what the network gives besides fields and
nothing else; `structure` is for reconstruction: field, slopes and spectrum, each relative.
"""

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    field_validator,
    model_validator,
)
from torch import Tensor

from data_shards.config import Config, later
from data_shards.errors import UserError, unknown_name
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.moe.balance import BalanceLoss
from foundation.physics.norms import relative_l2, relative_l2_and_norm, space

LossMask = Literal["valid", "reference"]
RelativeTo = Literal["field", "change"]

RESIDUAL_TERMS = ("residual", "initial", "boundary")

_LEAST_CHANGE = 1e-3  # of the field's norm: what counts as change where nothing moves


class Ramp(Config):
    """A weight that goes linearly from `start` to `end`, and stays; constant by default."""

    start: NonNegativeFloat = 0.0  # until step `first`
    end: NonNegativeFloat  # from step `last` on
    first: NonNegativeInt = 0  # optimiser steps, counted from 0
    last: NonNegativeInt = 0

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.last < self.first:
            raise ValueError(
                f"last={self.last} lies before first={self.first}; raise last or lower first"
            )
        return self

    def at(self, step: int) -> float:
        """Weight in an optimiser step, counted from 0."""
        if step >= self.last:
            return self.end
        if step <= self.first:
            return self.start
        done = (step - self.first) / (self.last - self.first)
        return self.start + (self.end - self.start) * done


class LossConfig(Config):
    """What is minimised."""

    objective: str = later("relative_l2")  # one of `OBJECTIVES`
    mask: LossMask = "valid"
    relative_to: RelativeTo = "field"
    slopes: NonNegativeFloat = later(0.2)  # in `structure`, beside the fields
    spectrum: NonNegativeFloat = later(0.1)
    # Weights of what the network gives besides fields, by its names.
    terms: dict[str, Ramp] = later({})
    balance: BalanceLoss = "cv2"
    balance_weight: NonNegativeFloat = 0.1  # per block
    # Importance of experts over the global batch, or over the samples of each rank, as published;
    # then the value depends on the number of ranks.
    balance_over: Literal["batch", "rank"] = later("batch")
    # Of the objective's mean over samples. Published MoE-POT sums over the 20 samples of a process:
    # 20, beside which a balance weight counts a twentieth, and so does decay in the gradient.
    scale: PositiveFloat = later(1.0)
    class_weight: NonNegativeFloat = 0.0  # of the auxiliary head; 0 as published
    noise: NonNegativeFloat = 5e-4  # see foundation/train/noise.py
    noise_on: Literal["real", "all"] = later("real")  # channels: without padding, or with it

    @property
    def wants_fields(self) -> bool:
        """Whether anything is made of a network's fields."""
        return self.objective != "terms"

    @field_validator("objective")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in OBJECTIVES:
            raise ValueError(str(unknown_name("objective", name, OBJECTIVES)))
        return name

    @model_validator(mode="after")
    def _only_a_ratio_is_relative(self) -> Self:
        if self.objective == "terms" and not self.terms:
            raise ValueError("objective=terms and no terms: nothing would be learnt; name some")
        if self.relative_to != "field" and self.objective != "relative_l2":
            raise ValueError(
                f"relative_to={self.relative_to}: objective={self.objective} divides by nothing; "
                "set relative_to=field"
            )
        return self


def relative_error(fields: Tensor, batch: Batch, mask: LossMask, to: RelativeTo) -> Tensor:
    """Relative L2 error per sample (B,), averaged over the channels the mask leaves.

    Channels without a norm to be relative to are left out; 0 where no other is left.

    Args:
        fields: predicted (B, T, C, *S).
        batch: what was given and asked, and its masks.
        mask: which channels and cells count.
        to: relative to the truth, or to its change since the last frame given.
    """
    scale = batch.asked if to == "field" else _change(batch)
    points = None if mask == "reference" else points_of(batch)
    return _mean(*relative_l2_and_norm(fields, batch.asked, points, scale), batch, mask)


def _mean(error_BC: Tensor, has_norm_BC: Tensor, batch: Batch, mask: LossMask) -> Tensor:
    """Over the channels that the mask leaves and that have a norm: (B,)."""
    if mask == "reference":
        counted_B = has_norm_BC.sum(dim=1).clamp(min=1)
        return error_BC.mean(dim=1) * (error_BC.shape[1] / counted_B)
    counted_B = (batch.asked_mask * has_norm_BC).sum(dim=1)
    return error_BC.sum(dim=1) / counted_B.clamp(min=1)  # 0 without a label


def points_of(batch: Batch) -> Tensor:
    """1 for the asked channels in valid cells, else 0: (B, 1, C, *S)."""
    grid = (None,) * len(space(batch.asked))
    points: Tensor = batch.asked_mask[:, None, :, *grid] * batch.valid_mask[:, None]
    return points


def _change(batch: Batch) -> Tensor:
    """Change since the last frame, no smaller anywhere than a trace of the field's size."""
    if batch.given.shape[2:] != batch.asked.shape[2:]:
        raise UserError(
            "loss.relative_to=change: what is asked are not the channels that are given, so that "
            "nothing changes; set relative_to=field"
        )
    change = batch.asked - batch.given[:, -1:]
    size = batch.asked.square().mean((1, *space(change)), keepdim=True).sqrt()
    return (change.square() + (_LEAST_CHANGE * size).square()).sqrt()


def _relative_l2(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    return relative_error(prediction.fields, batch, config.mask, config.relative_to)


def _sum_of_squares(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    """Over frames, channels and cells; it grows with all of them and with the field's size."""
    error = prediction.fields - batch.asked
    if config.mask == "valid":
        error = error * points_of(batch)
    return error.float().square().flatten(1).sum(dim=1)


def _terms_alone(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    return prediction.fields.new_zeros(len(batch))


def _structure(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    """Relative L2 error of the fields, of their differences and of their amplitudes by wave."""
    pred, true = prediction.fields.float(), batch.asked
    if config.mask == "valid":
        pred, true = pred * points_of(batch), true * points_of(batch)
    error_BC, has_norm_BC = relative_l2_and_norm(pred, true)
    error_BC = error_BC + config.slopes * relative_l2(_differences(pred), _differences(true))
    error_BC = error_BC + config.spectrum * relative_l2(_amplitudes(pred), _amplitudes(true))
    return _mean(error_BC, has_norm_BC, batch, config.mask)


def _differences(fields: Tensor) -> Tensor:
    """Between neighbouring cells along every axis, periodic, one after the other in time."""
    return torch.cat([fields - fields.roll(1, axis) for axis in space(fields)], dim=1)


def _amplitudes(fields: Tensor) -> Tensor:
    """Of every wave; its phase is the field's business."""
    amplitudes: Tensor = torch.fft.rfftn(fields, dim=space(fields), norm="ortho").abs()
    return amplitudes


def _sign_free(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    """`min ||c - s d||^2` over the sign s of an eigenvector, over all channels and states."""
    points = points_of(batch) if config.mask == "valid" else 1.0
    both = prediction.fields.float(), batch.asked
    c_BS, d_BS = ((fields * points).flatten(1) for fields in both)
    squares_B = c_BS.square().sum(1) + d_BS.square().sum(1)
    return squares_B - 2 * (c_BS * d_BS).sum(1).abs()


def _residual(prediction: Prediction, batch: Batch, config: LossConfig) -> Tensor:
    if "residual" not in prediction.terms:
        raise UserError(
            "loss.objective=residual: the network knows no equation; set model.constraint, or "
            "another objective"
        )
    parts = [prediction.terms[name] for name in RESIDUAL_TERMS if name in prediction.terms]
    return torch.stack(parts).sum(0)


Objective = Callable[[Prediction, Batch, LossConfig], Tensor]
OBJECTIVES: dict[str, Objective] = {
    "relative_l2": _relative_l2,
    "sum_of_squares": _sum_of_squares,
    "structure": _structure,
    "terms": _terms_alone,
    "sign_free": _sign_free,
    "residual": _residual,
}
