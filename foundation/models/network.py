"""What every architecture shares: given fields normalised, what is asked back in its units.

Axes: B samples, T frames, C channels, S the grid of one to three axes; D features.
A concrete network maps normalised fields to normalised fields; its units, its
target and its counts are handled here, so that architectures differ in
nothing but the map.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from data_shards.stream.batch import Batch
from foundation.constraint.layer import ConstraintLayer
from foundation.models.config import FieldConfig
from foundation.models.framing import framed
from foundation.models.types import ParameterCounts, Prediction
from foundation.moe.router import Routing
from foundation.nn.normalise import statistics_held


@dataclass(frozen=True)
class Answer:
    """A network's own part of a prediction.

    Attributes:
        fields: normalised (B, T_out * C_out, *S), with channel t * C_out + c; under a constraint
            basis fields (B, N * T, *S) or (B, N, T, W), as `FieldConfig.num_mapped` says.
        routing: by block; empty if dense.
        class_logits: of the auxiliary head (B, classes); None without one.
        terms: as `Prediction.terms`.
    """

    fields: Tensor
    routing: tuple[Routing, ...] = ()
    class_logits: Tensor | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)


class FieldNetwork(nn.Module):
    """Base of all architectures; a concrete one gives `answer`."""

    config: FieldConfig

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute_blocks = False  # activation checkpointing, set by the trainer
        # False where nothing but terms is learnt, set likewise: a network that would have to
        # decode its fields may leave them out in training.
        self.fields_wanted = True
        self.constraint: ConstraintLayer | None = None
        if config.constraint is not None:
            space = config.grid[-config.constraint.evolution.dimensions :]
            shape = (config.out_frames + 1, *space)
            self.constraint = ConstraintLayer(config.constraint, shape)

    def at_step(self, step: int) -> None:
        """Be as after `step` optimiser steps, in place; the trainer says so before each.

        What a network schedules lies in a buffer, so that it travels with the weights. Here it is
        the points at which a constraint is solved.
        """
        if self.constraint is not None:
            self.constraint.step.fill_(step)

    @property
    def temperature(self) -> float | None:
        """Of the routers at the current step, for reports; None of a network without any."""
        return None

    def latent_error(self, batch: Batch) -> Tensor | None:
        """Squared error of the latents of the first frame that is asked, (B,), relative to their
        own square; None of a network that forecasts no latents."""
        return None

    def decided(self, batch: Batch) -> Routing | None:
        """The routing of all blocks where it is decided before them; else None."""
        return None

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        """The network's own part.

        Args:
            inputs: what is given, normalised (B, T, C, *S), in the weights' type.
            statistics_B2C: what was normalised away, float32; None if nothing was.
            decided: as the method says.
        """
        raise NotImplementedError

    def forward(self, batch: Batch) -> Prediction:
        """Predict what is asked of `batch.given` (B, T_in, C, *S)."""
        config = self.config
        seen = framed(batch.given, config)
        dtype = next(self.parameters()).dtype
        if self.constraint is not None:
            return self._constrained(self.constraint, seen.inputs.to(dtype), batch)
        answer = self.answer(seen.inputs.to(dtype), seen.statistics_B2C, self.decided(batch))
        grid = answer.fields.shape[2:]
        fields = answer.fields.reshape(len(batch), config.out_frames, config.num_asked, *grid)
        fields = fields.float() * seen.scale + seen.shift
        logits = answer.class_logits
        if logits is None:
            logits = fields.new_empty(len(batch), 0)
        return Prediction(fields, answer.routing, logits.float(), answer.terms)

    def _constrained(self, constraint: ConstraintLayer, inputs: Tensor, batch: Batch) -> Prediction:
        """The basis fields of a network, weighed so that their sum solves the equation."""
        config = self.config
        if config.is_space_time:  # the given frame at all times
            space = config.mapped_grid[1:]
            inputs = inputs.reshape(*inputs.shape[:3], 1, *space)
            inputs = inputs.expand(*inputs.shape[:3], *config.mapped_grid).contiguous()
        answer = self.answer(inputs, None, self.decided(batch))
        basis_BNTS = answer.fields.reshape(len(batch), -1, *constraint.shape)
        first_BS = batch.given[:, -1, 0].reshape(len(batch), *constraint.shape[1:])
        found = constraint(basis_BNTS, first_BS, batch.origins)
        kept = torch.promote_types(inputs.dtype, torch.float32)
        fields = found.fields.reshape(len(batch), config.out_frames, 1, *config.grid).to(kept)
        logits = answer.class_logits
        if logits is None:
            logits = fields.new_empty(len(batch), 0)
        terms = {**answer.terms, **found.terms}
        return Prediction(fields, answer.routing, logits.to(kept), terms)

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes: the same in a dense network."""
        total = sum(p.numel() for p in self.parameters())
        return ParameterCounts(total, total)

    def run_block(self, block: nn.Module, *inputs: Tensor | Routing | None) -> Any:
        """A block's outputs; recomputed in the backward pass if so set."""
        if not (self.recompute_blocks and torch.is_grad_enabled()):
            return block(*inputs)
        return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: _recompute(block))


def statistics_maps(config: FieldConfig, width: int) -> tuple[nn.Linear, nn.Linear]:
    """Maps of a context's statistics (B, 2 C) to scale and shift of its features."""
    return nn.Linear(2 * config.channels, width), nn.Linear(2 * config.channels, width)


def modulated(
    x_BSD: Tensor, statistics_B2C: Tensor, scale: Callable[..., Any], shift: Callable[..., Any]
) -> Tensor:
    """Features (B, *S, D) that know how large and how far from zero what is given was."""
    statistics = statistics_B2C.to(x_BSD.dtype)
    scale_BD: Tensor = scale(statistics)
    shift_BD: Tensor = shift(statistics)
    grid = (None,) * (x_BSD.ndim - 2)
    return scale_BD[:, *grid] * x_BSD + shift_BD[:, *grid]


def _recompute(block: nn.Module) -> tuple[Any, Any]:
    return nullcontext(), statistics_held(block)
