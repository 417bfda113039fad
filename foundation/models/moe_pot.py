"""MoE-POT: context frames of a PDE solution in, next frames and routing out.

Axes: B samples, T frames, C channels, H rows, W columns; h, w patches (N of
them), D width.
Source: MoE-POT (NeurIPS 2025). Departures, each a named value of the
configuration whose default is ours and whose other value is the paper's:
`router.gate_norm` (layer | batch). One is not: before the router's temperature
has reached its floor (138 steps), evaluation uses the training step's, not the
floor. Additions, off in the paper's presets:
`target: increment` sees the last frame and the changes that led to it, and
predicts the next change, all in units of the context's own frame-to-frame
change, so that slow and fast flows look alike.
"""

from contextlib import nullcontext
from typing import Any, Literal, Self

import torch
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from data_shards.batch import Batch
from data_shards.config import Config
from foundation.models.types import ParameterCounts, Prediction
from foundation.moe.experts import Expert
from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import RouterConfig, Routing
from foundation.nn.fourier import FourierLayer
from foundation.nn.normalise import statistics_held
from foundation.nn.patch import PatchEmbedding, PatchHead
from foundation.nn.temporal import TemporalAggregation

_NUM_NORM_GROUPS = 8
_SCALE_FLOOR = 1e-6  # of a constant channel's standard deviation


class MoEPOTConfig(Config):
    """Everything that decides the network's shape and function."""

    model_type: Literal["moe_pot"] = "moe_pot"
    resolution: PositiveInt = 128
    patch: PositiveInt = 8
    channels: PositiveInt = 4
    context_frames: PositiveInt = 10
    out_frames: PositiveInt = 1
    width: PositiveInt
    mlp_ratio: PositiveInt = 1
    blocks: PositiveInt
    heads: PositiveInt
    modes: PositiveInt = 32
    head_width: PositiveInt = 32
    num_classes: PositiveInt = 6
    num_shared: NonNegativeInt = 2
    router: RouterConfig = RouterConfig()
    time_aggregation: Literal["exp_mlp", "mlp"] = "exp_mlp"
    instance_norm: bool = False
    target: Literal["frame", "increment"] = "frame"

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        for name, whole, part in (
            ("resolution by patch", self.resolution, self.patch),
            ("width by heads", self.width, self.heads),
            (f"width by {_NUM_NORM_GROUPS} norm groups", self.width, _NUM_NORM_GROUPS),
        ):
            if whole % part:
                raise ValueError(f"{name}: {whole} is not divisible by {part}; change one of them")
        if self.target == "increment" and self.context_frames < 2:
            raise ValueError("target=increment needs context_frames of 2 or more; raise it")
        return self


class Block(nn.Module):
    """Norm, Fourier layer, norm, mixture of experts; one skip around all."""

    def __init__(self, config: MoEPOTConfig) -> None:
        super().__init__()
        width = config.width
        self.norm_space = nn.GroupNorm(_NUM_NORM_GROUPS, width)
        self.fourier = FourierLayer(width, config.heads, config.modes)
        self.norm_moe = nn.GroupNorm(_NUM_NORM_GROUPS, width)
        self.moe = MixtureOfExperts(
            width, width * config.mlp_ratio, config.num_shared, config.router
        )

    def forward(self, x_BhwD: Tensor, temperature: Tensor) -> tuple[Tensor, Routing]:
        """(B, h, w, D) -> (B, h, w, D) and the block's routing."""
        x = self.fourier(_norm_last(self.norm_space, x_BhwD))
        x = _norm_last(self.norm_moe, x)
        mixed, routing = self.moe(x.flatten(1, 2), temperature)
        return x_BhwD + mixed.view_as(x_BhwD), routing


def _norm_last(norm: nn.Module, x_BhwD: Tensor) -> Tensor:
    y: Tensor = norm(x_BhwD.permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1)


class MoEPOT(nn.Module):
    """The mixture-of-experts operator transformer.

    `training_step` is a persistent buffer that the trainer sets; the router's
    temperature is a function of it, so that it travels with the weights.
    """

    training_step: Tensor

    def __init__(self, config: MoEPOTConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute_blocks = False  # activation checkpointing, set by the trainer
        width, side = config.width, config.resolution // config.patch
        self.embed = PatchEmbedding(
            config.channels, config.channels * config.patch + 3, width, config.patch
        )
        self.position = nn.Parameter(torch.empty(1, side, side, width))
        self.temporal = TemporalAggregation(
            config.context_frames, width, phases=config.time_aggregation == "exp_mlp"
        )
        if config.instance_norm:
            self.scale_features = nn.Linear(2 * config.channels, width)
            self.shift_features = nn.Linear(2 * config.channels, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.head = PatchHead(
            width, config.head_width, config.channels * config.out_frames, config.patch
        )
        self.classify = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.num_classes),
        )
        self.register_buffer("training_step", torch.zeros((), dtype=torch.int64))

    def reset(self, generator: torch.Generator) -> None:
        """Position embedding: truncated normal of 0.02; step 0."""
        with torch.no_grad():
            nn.init.trunc_normal_(self.position, std=0.02, generator=generator)
            self.training_step.zero_()

    def forward(self, batch: Batch) -> Prediction:
        """Predict the frames after `batch.fields` (B, T_in, C, H, W)."""
        context = batch.fields
        shift, scale = self._statistics(context)
        out_shift, out_scale, inputs = shift, scale, (context - shift) / scale
        if self.config.target == "increment":
            change = context[:, 1:] - context[:, :-1]
            out_shift, out_scale = context[:, -1:], _root_mean_square(change)
            inputs = torch.cat([change / out_scale, inputs[:, -1:]], dim=1)
        x_BhwD = self._embedded(inputs.to(self.position.dtype))
        if self.config.instance_norm:
            x_BhwD = self._modulated(x_BhwD, torch.cat([shift, scale], dim=1).flatten(1))
        temperature = self.temperature()
        routing: list[Routing] = []
        for block in self.blocks:
            x_BhwD, routed = self._run(block, x_BhwD, temperature)
            routing.append(routed)
        frames = self.head(x_BhwD).unflatten(1, (self.config.out_frames, self.config.channels))
        fields = frames.float() * out_scale + out_shift
        return Prediction(fields, tuple(routing), self.classify(x_BhwD.mean((1, 2))).float())

    def temperature(self) -> Tensor:
        """Softmax temperature of the routers at the current training step, scalar."""
        schedule = self.config.router.temperature
        step = self.training_step.to(torch.float32)
        return (schedule.start * schedule.decay**step).clamp(min=schedule.floor)

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes."""
        total = sum(p.numel() for p in self.parameters())
        idle = sum(
            p.numel() for m in self.modules() if isinstance(m, Expert) for p in m.parameters()
        )
        config = self.config
        routed = idle * config.router.num_experts // (config.router.num_experts + config.num_shared)
        unused = routed * (config.router.num_experts - config.router.top_k)
        return ParameterCounts(total, total - unused // config.router.num_experts)

    def _run(self, block: nn.Module, x: Tensor, temperature: Tensor) -> tuple[Tensor, Routing]:
        if not (self.recompute_blocks and torch.is_grad_enabled()):
            result: tuple[Tensor, Routing] = block(x, temperature)
            return result
        return checkpoint(  # type: ignore[no-any-return]
            block, x, temperature, use_reentrant=False, context_fn=lambda: _recompute(block)
        )

    def _statistics(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation per sample and channel (B, 1, C, 1, 1); 0 and 1 if not configured."""
        if not self.config.instance_norm:
            return context.new_zeros(()), context.new_ones(())
        shift = context.mean((1, 3, 4), keepdim=True)
        return shift, _root_mean_square(context - shift)

    def _modulated(self, x_BhwD: Tensor, statistics_B2C: Tensor) -> Tensor:
        statistics = statistics_B2C.to(x_BhwD.dtype)
        scale_BD: Tensor = self.scale_features(statistics)
        shift_BD: Tensor = self.shift_features(statistics)
        return scale_BD[:, None, None] * x_BhwD + shift_BD[:, None, None]

    def _embedded(self, context: Tensor) -> Tensor:
        features: Tensor = self.embed(context)
        x_BhwD: Tensor = self.temporal(features, self.embed.expand, self.position)
        return x_BhwD


def _root_mean_square(fields: Tensor) -> Tensor:
    """Over frames and space, per sample and channel (B, 1, C, 1, 1); never 0."""
    return fields.square().mean((1, 3, 4), keepdim=True).sqrt() + _SCALE_FLOOR


def _recompute(block: nn.Module) -> tuple[Any, Any]:
    return nullcontext(), statistics_held(block)
