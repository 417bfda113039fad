"""The frame that MoE-POT and DPOT share; what stands between norm and skip of a block is theirs.

Axes: B samples, T frames, C channels, H rows, W columns; h, w patches, D width.
Source: DPOT (ICML 2024) and MoE-POT (NeurIPS 2025), whose networks differ in
the second half of their blocks only: patch embedding, temporal aggregation,
blocks, transposed convolution; an auxiliary head on the mean over space.
"""

from collections.abc import Iterable
from typing import Literal, Self

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import later
from foundation.models.config import FieldConfig, check_square
from foundation.models.network import Answer, FieldNetwork, modulated, statistics_maps
from foundation.models.work import Work, modulation, stacked
from foundation.moe.router import Routing
from foundation.nn.patch import PatchEmbedding, PatchHead, SmoothHead, stacked_with_places
from foundation.nn.temporal import TemporalAggregation

NUM_NORM_GROUPS = 8
_TAPS = 9  # of a convolution 3 x 3


class OperatorTransformerConfig(FieldConfig):
    """Sizes of the shared parts."""

    dimensions: Literal[2] = later(2)
    patch: PositiveInt = 8
    width: PositiveInt
    mlp_ratio: PositiveInt = 1
    blocks: PositiveInt
    heads: PositiveInt
    modes: PositiveInt = 32
    head_width: PositiveInt = 32
    # From patches to cells: by themselves, as published, or interpolated with the frames beside.
    head: Literal["patches", "smooth"] = later("patches")
    num_classes: PositiveInt = 6
    time_aggregation: Literal["exp_mlp", "mlp"] = "exp_mlp"

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        check_square(self)
        for name, whole, part in (
            ("resolution by patch", self.resolution, self.patch),
            ("width by heads", self.width, self.heads),
            (f"width by {NUM_NORM_GROUPS} norm groups", self.width, NUM_NORM_GROUPS),
        ):
            if whole % part:
                raise ValueError(f"{name}: {whole} is not divisible by {part}; change one of them")
        return self

    @property
    def has_classes(self) -> bool:
        return True

    @property
    def goes_on(self) -> bool:
        return True  # positions lie between its own, and waves of the same lengths are kept


class OperatorTransformer(FieldNetwork):
    """Patches in, blocks, patches out; a concrete network gives blocks and `through_blocks`."""

    config: OperatorTransformerConfig

    def __init__(self, config: OperatorTransformerConfig, blocks: Iterable[nn.Module]) -> None:
        # The order of these lines is that of the optimiser's state in recorded checkpoints.
        super().__init__(config)
        width, side = config.width, config.resolution // config.patch
        self.embed = PatchEmbedding(
            config.channels, config.channels * config.patch + 3, width, config.patch
        )
        self.position = nn.Parameter(torch.empty(1, side, side, width))
        self.temporal = TemporalAggregation(
            config.context_frames, width, phases=config.time_aggregation == "exp_mlp"
        )
        if config.instance_norm:
            self.scale_features, self.shift_features = statistics_maps(config, width)
        self.blocks = nn.ModuleList(blocks)
        sizes = config.num_mapped, config.patch
        self.head: PatchHead | SmoothHead = (
            PatchHead(width, config.head_width, *sizes)
            if config.head == "patches"
            else SmoothHead(width, config.head_width, stacked(config), *sizes)
        )
        self.classify = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.num_classes),
        )

    def reset(self, generator: torch.Generator) -> None:
        """Position embedding: normal of 0.02."""
        with torch.no_grad():
            self.position.normal_(0.0, 0.02, generator=generator)

    def position_on(self, rows: int, columns: int) -> Tensor:
        """Position embedding of so many patches (1, h, w, D): its own, or between its own."""
        if (rows, columns) == self.position.shape[1:3]:
            return self.position
        planes = self.position.permute(0, 3, 1, 2)
        wanted = F.interpolate(planes, size=(rows, columns), mode="bilinear", align_corners=False)
        return wanted.permute(0, 2, 3, 1)

    def through_blocks(
        self, x_BhwD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """(B, h, w, D) -> (B, h, w, D), and the routing by block, empty if dense."""
        raise NotImplementedError

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        features = self.embed(inputs)
        position = self.position_on(features.shape[1], features.shape[2])
        x_BhwD: Tensor = self.temporal(features, self.embed.expand, position)
        if statistics_B2C is not None:
            x_BhwD = modulated(x_BhwD, statistics_B2C, self.scale_features, self.shift_features)
        x_BhwD, routing = self.through_blocks(x_BhwD, decided)
        fields = (
            self.head(x_BhwD)
            if isinstance(self.head, PatchHead)
            else self.head(x_BhwD, stacked_with_places(inputs))
        )
        return Answer(fields, routing, self.classify(x_BhwD.mean((1, 2))))


def work_with(config: OperatorTransformerConfig, mixing: int, mixing_kept: int) -> Work:
    """Of a forward pass on one sample.

    Args:
        config: sizes.
        mixing: multiply-adds of the second half of a block.
        mixing_kept: numbers that it keeps for the backward pass.
    """
    side, pixels, width = config.resolution // config.patch, config.resolution**2, config.width
    tokens, frames = side * side, config.context_frames
    between = config.channels * config.patch + 3
    first = frames * tokens * between * config.channels * config.patch**2
    embed = first + frames * tokens * between * width
    rows, columns = min(config.modes, side), min(config.modes, side // 2 + 1)
    modes, transform = rows * columns, 2 * side * columns * (side + 2 * rows) * width
    fourier = modes * 2 * config.heads * (2 * width // config.heads) ** 2
    hidden = config.head_width
    head = tokens * width * config.patch**2 * hidden + pixels * hidden * hidden
    if config.head == "smooth":
        head = tokens * width * hidden + pixels * _TAPS * hidden * (stacked(config) + hidden)
    head += pixels * hidden * config.num_mapped
    classes = width * (2 * width + config.num_classes)
    products = embed + modulation(config, width) + head + classes
    kept = frames * (config.channels * pixels + 2 * tokens * between) + 4 * hidden * pixels
    kept += pixels * stacked(config) * (config.head == "smooth")
    # Both norms' inputs and the last output; three stages of the perceptron in the spectrum.
    block_kept = 3 * tokens * width + 6 * modes * width + mixing_kept
    kept += 2 * tokens * width
    # Frames' weights with their phases, and the Fourier weights of every head in real form.
    phased = frames * width * width if config.time_aggregation == "exp_mlp" else 0
    spectral = 2 * config.heads * (2 * width // config.heads) ** 2
    places = 3 * frames * pixels + tokens * width  # coordinates, positions
    in_blocks = config.blocks * (2 * transform + fourier + mixing)
    return Work(
        products=2 * (products + in_blocks),
        kept=kept + config.blocks * block_kept,
        shared=phased + frames * between * width + config.blocks * spectral + places,
        fixed_products=2 * (first + config.blocks * 2 * transform),
        block_products=2 * in_blocks,
        between=kept + config.blocks * tokens * width,
        largest_block=block_kept,
        passing=2 * hidden * pixels,
        depth=config.blocks,
    )
