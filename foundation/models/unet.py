"""U-Net: context frames of a PDE solution in, next frames out, by convolutions on several grids.

Axes: B samples, T frames, C channels, H rows, W columns, D width of a level.
Frames are stacked as channels beside two coordinates. Each level has a
residual block of two 3 x 3 convolutions behind group norms, on the way down and
on the way up; a strided convolution halves the grid and doubles the width, a
transposed one goes back, and the level's own features come in again beside it.
Source: U-Net (MICCAI 2015) with residual blocks; no attention.
"""

from itertools import pairwise
from typing import Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import later
from foundation.models.config import MOST_CELLS, FieldConfig, check_square
from foundation.models.network import Answer, FieldNetwork, modulated, statistics_maps
from foundation.models.work import Work, modulation, stacked
from foundation.moe.router import Routing
from foundation.nn.patch import stacked_with_places

Padding = Literal["zeros", "circular"]

_TAPS = 9  # of a 3 x 3 convolution


class UNetConfig(FieldConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["unet"] = "unet"
    dimensions: Literal[2] = later(2)
    width: PositiveInt  # of the finest level; doubles with every coarser one
    levels: int = Field(default=3, ge=1, le=MOST_CELLS.bit_length())  # each halves the grid
    norm_groups: PositiveInt = 4
    padding: Padding = "zeros"  # circular: for corpora that are periodic throughout

    @model_validator(mode="after")
    def _grids_fit(self) -> Self:
        check_square(self)
        coarsest = 2 ** (self.levels - 1)
        for name, whole, part in (
            (f"resolution by {self.levels} levels", self.resolution, coarsest),
            ("width by norm_groups", self.width, self.norm_groups),
        ):
            if whole % part:
                raise ValueError(f"{name}: {whole} is not divisible by {part}; change one of them")
        return self


class ResidualBlock(nn.Module):
    """Norm, GELU, convolution, twice; added to the input, mapped if the width changes."""

    def __init__(self, width_in: int, width: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(config.norm_groups, width_in)
        self.conv_in = _convolution(width_in, width, config.padding)
        self.norm_out = nn.GroupNorm(config.norm_groups, width)
        self.conv_out = _convolution(width, width, config.padding)
        self.shortcut = nn.Identity() if width_in == width else nn.Conv2d(width_in, width, 1)

    def forward(self, x_BDHW: Tensor) -> Tensor:
        """(B, D_in, H, W) -> (B, D, H, W)."""
        x = self.conv_in(F.gelu(self.norm_in(x_BDHW)))
        x = self.conv_out(F.gelu(self.norm_out(x)))
        out: Tensor = self.shortcut(x_BDHW) + x
        return out


class UNet(FieldNetwork):
    """The convolutional baseline."""

    config: UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        widths = [config.width * 2**level for level in range(config.levels)]
        finest, steps = widths[0], list(pairwise(widths))
        self.stem = _convolution(stacked(config), finest, config.padding)
        if config.instance_norm:
            self.scale_features, self.shift_features = statistics_maps(config, finest)
        self.down = nn.ModuleList(ResidualBlock(width, width, config) for width in widths)
        self.coarsen = nn.ModuleList(
            _convolution(fine, coarse, config.padding, stride=2) for fine, coarse in steps
        )
        self.refine = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, kernel_size=2, stride=2) for fine, coarse in steps
        )
        self.up = nn.ModuleList(ResidualBlock(2 * fine, fine, config) for fine, _ in steps)
        self.norm = nn.GroupNorm(config.norm_groups, finest)
        self.project = _convolution(finest, config.num_mapped, config.padding)

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        x_BDHW: Tensor = self.stem(stacked_with_places(inputs))
        if statistics_B2C is not None:
            x_BHWD = x_BDHW.permute(0, 2, 3, 1)
            x_BHWD = modulated(x_BHWD, statistics_B2C, self.scale_features, self.shift_features)
            x_BDHW = x_BHWD.permute(0, 3, 1, 2)
        own: list[Tensor] = []  # features of each level, finest first
        for level, block in enumerate(self.down):
            if level:
                x_BDHW = self.coarsen[level - 1](x_BDHW)
            x_BDHW = self.run_block(block, x_BDHW)
            own.append(x_BDHW)
        for level in reversed(range(self.config.levels - 1)):
            beside = torch.cat([self.refine[level](x_BDHW), own[level]], dim=1)
            x_BDHW = self.run_block(self.up[level], beside)
        return Answer(self.project(F.gelu(self.norm(x_BDHW))))


def _convolution(width_in: int, width: int, padding: Padding, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, 3, stride=stride, padding=1, padding_mode=padding)


def work(config: UNetConfig) -> Work:
    """Of a forward pass on one sample."""
    widths = [config.width * 2**level for level in range(config.levels)]
    points = [(config.resolution // 2**level) ** 2 for level in range(config.levels)]
    out = config.num_mapped
    first = points[0] * _TAPS * widths[0] * stacked(config)
    products = first + points[0] * _TAPS * widths[0] * out
    kept = between = points[0] * (stacked(config) + 4 * widths[0])
    in_blocks = 0
    for width, count in zip(widths, points, strict=True):
        in_blocks += count * _TAPS * 2 * width * width
        kept += count * 6 * width
        between += count * 2 * width
    for level in range(config.levels - 1):
        fine, coarse, many, few = widths[level], widths[level + 1], points[level], points[level + 1]
        shrink, grow = few * _TAPS * fine * coarse, many * coarse * fine
        block = many * fine * fine * (_TAPS * 3 + 2)  # convolutions 2 D -> D -> D and the shortcut
        products += shrink + grow
        in_blocks += block
        kept += many * fine + few * coarse + many * 9 * fine
        between += many * fine + few * coarse + many * 3 * fine
    largest = points[0] * widths[0] * (9 if config.levels > 1 else 6)
    return Work(
        products=2 * (products + in_blocks + modulation(config, widths[0])),
        kept=kept,
        fixed_products=2 * first,
        block_products=2 * in_blocks,
        between=between,
        largest_block=largest,
        passing=4 * points[0] * widths[0],
        depth=2 * config.levels - 1,
    )
