"""What every architecture shares: a context normalised, a forecast back in its units.

Axes: B samples, T frames, C channels, H rows, W columns; D features.
A concrete network maps normalised frames to normalised frames; its units, its
target and its counts are handled here, so that architectures differ in
nothing but the map.
`target: increment` sees the last frame and the changes that led to it, and
predicts the next change, all in units of the context's own frame-to-frame
change, so that slow and fast flows look alike.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from data_shards.config import Config
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, square
from foundation.models.types import ParameterCounts, Prediction
from foundation.moe.router import Routing
from foundation.nn.normalise import statistics_held

# Along a side. No weight of some networks tells the grid, so that a configuration alone could
# ask for any amount of memory once it is used.
MOST_CELLS = 4096
_SCALE_FLOOR = 1e-6  # of a constant channel's standard deviation

Answer = tuple[Tensor, tuple[Routing, ...], Tensor | None]


class FrameConfig(Config):
    """What a network takes and gives, whatever is inside."""

    model_type: str
    resolution: int = Field(default=128, ge=1, le=MOST_CELLS)
    channels: PositiveInt = 4
    context_frames: PositiveInt = 10
    out_frames: PositiveInt = 1
    instance_norm: bool = False
    target: Literal["frame", "increment"] = "frame"

    @model_validator(mode="after")
    def _increments_have_a_past(self) -> Self:
        if self.target == "increment" and self.context_frames < 2:
            raise ValueError("target=increment needs context_frames of 2 or more; raise it")
        return self

    @property
    def layout(self) -> ModelLayout:
        """The grid and channels that a batch for this network has."""
        return square(self.resolution, self.channels)

    @property
    def num_routed(self) -> int:
        """Routed experts of a block; 0 for a dense network."""
        return 0

    @property
    def has_classes(self) -> bool:
        """Whether there is an auxiliary head that tells corpora apart."""
        return False


@dataclass(frozen=True)
class Framed:
    """A context as a network sees it, and the way back.

    Attributes:
        inputs: (B, T, C, H, W), dimensionless if normalised.
        shift, scale: of the prediction, broadcastable to (B, T_out, C, H, W).
        statistics_B2C: mean and deviation of the context, physical units; None if not configured.
    """

    inputs: Tensor
    shift: Tensor
    scale: Tensor
    statistics_B2C: Tensor | None


def framed(context: Tensor, config: FrameConfig) -> Framed:
    """Normalise a context (B, T, C, H, W) as configured."""
    shift, scale = _statistics(context, config)
    out_shift, out_scale, inputs = shift, scale, (context - shift) / scale
    if config.target == "increment":
        change = context[:, 1:] - context[:, :-1]
        out_shift, out_scale = context[:, -1:], _root_mean_square(change)
        inputs = torch.cat([change / out_scale, inputs[:, -1:]], dim=1)
    statistics = torch.cat([shift, scale], dim=1).flatten(1) if config.instance_norm else None
    return Framed(inputs, out_shift, out_scale, statistics)


class FrameNetwork(nn.Module):
    """Base of all architectures; a concrete one gives `answer`."""

    config: FrameConfig

    def __init__(self, config: FrameConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute_blocks = False  # activation checkpointing, set by the trainer

    def at_step(self, step: int) -> None:
        """Be as after `step` optimiser steps, in place; the trainer says so before each.

        What a network schedules lies in a buffer, so that it travels with the weights. Nothing is
        scheduled here.
        """

    @property
    def temperature(self) -> float | None:
        """Of the routers at the current step, for reports; None of a network without any."""
        return None

    def answer(self, inputs: Tensor, statistics_B2C: Tensor | None) -> Answer:
        """The network's own part.

        Args:
            inputs: normalised context (B, T, C, H, W), in the weights' type.
            statistics_B2C: what was normalised away, float32; None if nothing was.

        Returns:
            Normalised frames (B, T_out * C, H, W) with channel t * C + c; routing by block,
            empty if dense; logits of the auxiliary head (B, classes) or None.
        """
        raise NotImplementedError

    def forward(self, batch: Batch) -> Prediction:
        """Predict the frames after `batch.given` (B, T_in, C, H, W)."""
        config = self.config
        seen = framed(batch.given, config)
        dtype = next(self.parameters()).dtype
        frames, routing, logits = self.answer(seen.inputs.to(dtype), seen.statistics_B2C)
        frames = frames.reshape(len(batch), config.out_frames, config.channels, *frames.shape[2:])
        fields = frames.float() * seen.scale + seen.shift
        if logits is None:
            logits = fields.new_empty(len(batch), 0)
        return Prediction(fields, routing, logits.float())

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes: the same in a dense network."""
        total = sum(p.numel() for p in self.parameters())
        return ParameterCounts(total, total)

    def run_block(self, block: nn.Module, *inputs: Tensor) -> Any:
        """A block's outputs; recomputed in the backward pass if so set."""
        if not (self.recompute_blocks and torch.is_grad_enabled()):
            return block(*inputs)
        return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: _recompute(block))


def statistics_maps(config: FrameConfig, width: int) -> tuple[nn.Linear, nn.Linear]:
    """Maps of a context's statistics (B, 2 C) to scale and shift of its features."""
    return nn.Linear(2 * config.channels, width), nn.Linear(2 * config.channels, width)


def modulated(
    x_BHWD: Tensor, statistics_B2C: Tensor, scale: Callable[..., Any], shift: Callable[..., Any]
) -> Tensor:
    """Features (B, H, W, D) that know how large and how far from zero the context was."""
    statistics = statistics_B2C.to(x_BHWD.dtype)
    scale_BD: Tensor = scale(statistics)
    shift_BD: Tensor = shift(statistics)
    return scale_BD[:, None, None] * x_BHWD + shift_BD[:, None, None]


def _statistics(context: Tensor, config: FrameConfig) -> tuple[Tensor, Tensor]:
    """Mean and deviation per sample and channel (B, 1, C, 1, 1); 0 and 1 if not configured."""
    if not config.instance_norm:
        return context.new_zeros(()), context.new_ones(())
    shift = context.mean((1, 3, 4), keepdim=True)
    return shift, _root_mean_square(context - shift)


def _root_mean_square(fields: Tensor) -> Tensor:
    """Over frames and space, per sample and channel (B, 1, C, 1, 1); never 0."""
    return fields.square().mean((1, 3, 4), keepdim=True).sqrt() + _SCALE_FLOOR


def _recompute(block: nn.Module) -> tuple[Any, Any]:
    return nullcontext(), statistics_held(block)
