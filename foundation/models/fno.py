"""FNO: given fields of a PDE in, asked ones out, by convolutions in the spectrum.

Axes: B samples, T frames, C channels, S the grid, D width.
Frames are stacked as channels beside a coordinate per axis, lifted to the width, and
pass layers of `gelu(spectral convolution + 1 x 1 map)`; two 1 x 1 maps project.
Source: FNO (ICLR 2021), 2-D in space, autoregressive in time, or by `over_time`
all frames of a plane at once, time an axis of the transform; transfer scaling
(NeurIPS 2023) by `places: false` and a `projection` of twice the width, with
the same first weights (uniform in (0, 1) / D^2 in the spectrum). Additions:
normalisation and target as in every network here (framing.py).
The package `neuraloperator` (2.0) has this network too, but its wheel asks for
wandb, zencfg, configmypy, ruamel-yaml, tensorly and tensorly-torch: too much
for a hundred lines. Its layer and the study's network agree with these (tests/golden).
"""

from math import log2, prod
from typing import Literal, Self

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import later
from foundation.models.config import FieldConfig
from foundation.models.network import Answer, FieldNetwork, modulated, statistics_maps
from foundation.models.work import Work, modulation, stacked
from foundation.nn.patch import stacked_with_places
from foundation.nn.spectral import SpectralConvolution


class FNOConfig(FieldConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["fno"] = "fno"
    dimensions: Literal[2] = later(2)
    width: PositiveInt
    layers: PositiveInt = 4
    modes: PositiveInt = 12  # per axis and sign
    projection: PositiveInt = 128  # width of the last hidden map
    places: bool = later(True)  # whether the network sees where a point lies
    over_time: bool = later(False)  # under a constraint, frames of a plane are an axis, no channels

    @model_validator(mode="after")
    def _grid_has_the_modes(self) -> Self:
        if 2 * self.modes > (side := min(self.mapped_grid)):
            raise ValueError(
                f"modes={self.modes}: a grid of {side} points has {side // 2}; lower modes"
            )
        return self

    @model_validator(mode="after")
    def _time_is_an_axis_under_a_constraint(self) -> Self:
        if self.over_time and self.constraint is None:
            raise ValueError("over_time is for basis fields; set constraint, or leave it out")
        return self

    @property
    def is_space_time(self) -> bool:
        return self.over_time or super().is_space_time


class Layer(nn.Module):
    """Spectral convolution beside a 1 x 1 map, then GELU but for the last layer."""

    def __init__(self, width: int, modes: int, axes: int, last: bool) -> None:
        super().__init__()
        self.spectral = SpectralConvolution(width, modes, axes)
        self.local = nn.Linear(width, width)
        self.last = last

    def forward(self, x_BSD: Tensor) -> Tensor:
        """(B, *S, D) -> (B, *S, D)."""
        # The local map first: a sum takes its first term's memory layout, and a transform's is
        # strided, which the next map would have to copy.
        x: Tensor = self.local(x_BSD) + self.spectral(x_BSD)
        return x if self.last else F.gelu(x)


class FNO(FieldNetwork):
    """The Fourier neural operator."""

    config: FNOConfig

    def __init__(self, config: FNOConfig) -> None:
        super().__init__(config)
        width, count, axes = config.width, config.layers, len(config.mapped_grid)
        self.lift = nn.Linear(stacked(config, config.places), width)
        if config.instance_norm:
            self.scale_features, self.shift_features = statistics_maps(config, width)
        self.layers = nn.ModuleList(
            Layer(width, config.modes, axes, last=number == count - 1) for number in range(count)
        )
        self.hidden = nn.Linear(width, config.projection)
        self.project = nn.Linear(config.projection, config.num_mapped)

    def answer(self, inputs: Tensor, statistics_B2C: Tensor | None) -> Answer:
        stack = stacked_with_places(inputs) if self.config.places else inputs.flatten(1, 2)
        x_BSD: Tensor = self.lift(stack.movedim(1, -1))
        if statistics_B2C is not None:
            x_BSD = modulated(x_BSD, statistics_B2C, self.scale_features, self.shift_features)
        for layer in self.layers:
            x_BSD = self.run_block(layer, x_BSD)
        fields: Tensor = self.project(F.gelu(self.hidden(x_BSD)))
        return Answer(fields.movedim(-1, 1))


def work(config: FNOConfig) -> Work:
    """Of a forward pass on one sample."""
    grid, width, modes = config.mapped_grid, config.width, config.modes
    pixels, channels_in = prod(grid), stacked(config, config.places)
    kept_modes = modes * (2 * modes) ** (len(grid) - 1)
    layer = pixels * width * width + kept_modes * (2 * width) ** 2
    ends = channels_in * width + config.projection * (width + config.num_mapped)
    # Along the last axis all lines are transformed, along the others those of kept modes only.
    one_way, lines = pixels / grid[-1] * _real_transform(grid[-1]), modes
    for axis in reversed(range(len(grid) - 1)):
        one_way += prod(grid[:axis]) * lines * 2 * _real_transform(grid[axis])
        lines *= 2 * modes
    between = (2 * config.layers + 1) * width
    ends_kept = pixels * (channels_in + 2 * config.projection)
    spectral = kept_modes * 2 * width
    return Work(
        products=2 * (pixels * ends + config.layers * layer + modulation(config, width)),
        transforms=round(config.layers * width * 2 * one_way),
        kept=ends_kept + pixels * between + config.layers * spectral,
        shared=config.layers * kept_modes * (2 * width) ** 2,
        fixed_products=2 * pixels * channels_in * width,
        block_products=2 * config.layers * layer,
        between=ends_kept + pixels * (config.layers + 1) * width,
        largest_block=2 * pixels * width + spectral,
        passing=2 * pixels * max(width, config.projection),
        depth=config.layers,
    )


def _real_transform(points: int) -> float:
    return 2.5 * points * log2(points)
