"""The frame that FNO and its mixture of experts share; what a layer does is theirs.

Axes: B samples, T frames, C channels, S the grid, D width.
Frames are stacked as channels beside a coordinate per axis, lifted to the width, and pass layers
that keep the lowest modes of a spectrum; two 1 x 1 maps project.
Source: FNO (ICLR 2021). Of no paper here, and off by default: `patch`, cells that are lifted and
projected together, so that layers work on a coarser grid; `head: smooth`, which interpolates what
layers give to the cells before the last maps; `residual` layers; and `skip`, a map of what is given
beside the last hidden one.
"""

from collections.abc import Iterable
from math import log2, prod
from typing import Literal, Self

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import later
from foundation.models.config import FieldConfig
from foundation.models.network import Answer, FieldNetwork, modulated, statistics_maps
from foundation.models.work import Work, modulation, stacked
from foundation.moe.router import Routing
from foundation.nn.patch import (
    from_patches,
    mapped,
    patches_apart,
    stacked_with_places,
    to_cells,
)


class SpectralConfig(FieldConfig):
    """Sizes of the shared parts."""

    dimensions: Literal[2] = later(2)
    width: PositiveInt
    layers: PositiveInt = 4
    modes: PositiveInt = 12  # per axis and sign
    projection: PositiveInt = 128  # width of the last hidden map
    places: bool = later(True)  # whether the network sees where a point lies
    # Cells, and frames where they are an axis, along a side that are lifted and projected together.
    patch: PositiveInt = later(1)
    # From patches to cells: by themselves, or interpolated, so that they do not show in forecasts.
    head: Literal["patches", "smooth"] = later("patches")
    residual: bool = later(False)  # whether a layer adds what it was given
    skip: bool = later(False)  # whether the last hidden map sees what is given, too
    over_time: bool = later(False)  # under a constraint, frames of a plane are an axis, no channels

    @model_validator(mode="after")
    def _grid_has_the_patches_and_modes(self) -> Self:
        if any(count % self.patch for count in self.mapped_grid):
            raise ValueError(
                f"patch={self.patch} does not divide a grid of {self.mapped_grid}; set another one"
            )
        if 2 * self.modes > (side := min(self.layers_grid)):
            raise ValueError(
                f"modes={self.modes}: a grid of {side} points has {side // 2}; lower modes"
                + (f", or patch={self.patch}" if self.patch > 1 else "")
            )
        return self

    @model_validator(mode="after")
    def _a_smooth_head_has_patches(self) -> Self:
        if self.head == "smooth" and self.patch == 1:
            raise ValueError("head=smooth interpolates between patches; set patch, or leave it out")
        return self

    @model_validator(mode="after")
    def _time_is_an_axis_under_a_constraint(self) -> Self:
        if self.over_time and self.constraint is None:
            raise ValueError("over_time is for basis fields; set constraint, or leave it out")
        if self.over_time and super().is_space_time:
            raise ValueError("over_time: frames of a line are an axis anyway; leave it out")
        return self

    @property
    def layers_grid(self) -> tuple[int, ...]:
        """Points of a layer along each axis."""
        return tuple(count // self.patch for count in self.mapped_grid)

    @property
    def _cells(self) -> int:
        """Cells of a patch."""
        return prod(self.patch for _ in self.mapped_grid)

    @property
    def patch_inputs(self) -> int:
        """Numbers that are given of a patch."""
        return stacked(self, self.places) * self._cells

    @property
    def ends_in_patches(self) -> bool:
        """Whether the last maps take all cells of a patch together, or each cell by itself."""
        return self.head == "patches"

    @property
    def end_inputs(self) -> int:
        """Numbers that are given of what a last map takes."""
        return stacked(self, self.places) * (self._cells if self.ends_in_patches else 1)

    @property
    def end_outputs(self) -> int:
        """Numbers that are asked of it."""
        return self.num_mapped * (self._cells if self.ends_in_patches else 1)

    @property
    def kept_modes(self) -> int:
        """Of a layer: both signs along every axis but the last."""
        signed = prod(2 * self.modes for _ in self.mapped_grid[1:])
        return self.modes * signed

    @property
    def is_space_time(self) -> bool:
        return self.over_time or super().is_space_time


class SpectralNetwork(FieldNetwork):
    """Lift, layers, projection; a concrete network gives layers and `through_layers`."""

    config: SpectralConfig

    def __init__(self, config: SpectralConfig, layers: Iterable[nn.Module]) -> None:
        super().__init__(config)
        self.lift = self.end(config.patch_inputs, config.width)
        if config.instance_norm:
            self.scale_features, self.shift_features = statistics_maps(config, config.width)
        self.layers = nn.ModuleList(layers)
        self.hidden = self.end(config.width, config.projection)
        self.beside = self.end(config.end_inputs, config.projection) if config.skip else None
        self.project = self.end(config.projection, config.end_outputs)

    def end(self, features: int, width: int) -> nn.Module:
        """A linear map before or after the layers."""
        return nn.Linear(features, width)

    def through_end(self, end: nn.Module, rows_BSF: Tensor, decided: Routing | None) -> Tensor:
        """Features through such a map."""
        assert isinstance(end, nn.Linear)
        return mapped(rows_BSF, end)

    def through_layers(
        self, x_BSD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """(B, *S, D) -> (B, *S, D), and the routing by layer, empty if dense."""
        raise NotImplementedError

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        stack = stacked_with_places(inputs) if self.config.places else inputs.flatten(1, 2)
        patches_BSF = patches_apart(stack, self.config.patch)
        x_BSD = self.through_end(self.lift, patches_BSF, decided)
        if statistics_B2C is not None:
            x_BSD = modulated(x_BSD, statistics_B2C, self.scale_features, self.shift_features)
        x_BSD, routing = self.through_layers(x_BSD, decided)
        given_BSF, size = patches_BSF, self.config.patch
        if not self.config.ends_in_patches:
            x_BSD, given_BSF, size = to_cells(x_BSD, size), stack.movedim(1, -1), 1
        hidden = self.through_end(self.hidden, x_BSD, decided)
        if self.beside is not None:
            hidden = hidden + self.through_end(self.beside, given_BSF, decided)
        fields = self.through_end(self.project, F.gelu(hidden), decided)
        return Answer(from_patches(fields, size), routing)


def work_with(
    config: SpectralConfig, mixing: int, kept: int, shared: int, experts: int = 0
) -> Work:
    """Of a forward pass on one sample.

    Args:
        config: sizes.
        mixing: multiply-adds of a layer in the spectrum.
        kept: numbers that they keep for the backward pass, besides the modes.
        shared: numbers that a layer keeps however many samples there are.
        experts: that are merged for the maps before and after the layers, if they are mixtures.
    """
    grid, width, modes = config.layers_grid, config.width, config.modes
    pixels, projection = prod(grid), config.projection
    layer = pixels * width * width + mixing
    # Of the maps before and after the layers: weights, and points that they are used on.
    points = pixels if config.ends_in_patches else prod(config.mapped_grid)
    given, asked = config.end_inputs, config.end_outputs
    lift, beside = config.patch_inputs * width, given * projection * config.skip
    last = projection * (width + asked)
    biases = width + projection * (1 + config.skip) + asked
    merged = lift + beside + last + biases if experts else 0
    from_given = pixels * lift + points * beside
    ends = from_given + points * last
    # Of each cell, where patches are interpolated: features, and what is given once more.
    of_cells = 0 if config.ends_in_patches else points * (width + given * config.skip)
    # Along the last axis all lines are transformed, along the others those of kept modes only.
    one_way, lines = pixels / grid[-1] * _real_transform(grid[-1]), modes
    for axis in reversed(range(len(grid) - 1)):
        one_way += prod(grid[:axis]) * lines * 2 * _real_transform(grid[axis])
        lines *= 2 * modes
    between = (2 * config.layers + 1) * width
    ends_kept = pixels * config.patch_inputs + 2 * points * projection + of_cells
    spectral = config.kept_modes * 2 * width + kept
    return Work(
        products=2 * (ends + config.layers * layer + modulation(config, width))
        + 2 * experts * merged,
        transforms=round(config.layers * width * 2 * one_way),
        kept=ends_kept + pixels * between + config.layers * spectral + merged,
        shared=config.layers * shared,
        fixed_products=2 * from_given,
        block_products=2 * config.layers * layer,
        between=ends_kept + pixels * (config.layers + 1) * width + merged,
        largest_block=2 * pixels * width + spectral,
        passing=2 * max(points * width, points * projection, points * asked),
        depth=config.layers,
    )


def _real_transform(points: int) -> float:
    return 2.5 * points * log2(points)
