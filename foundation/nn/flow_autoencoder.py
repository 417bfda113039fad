"""A flow in a box to latents and back, incompressible by construction whatever the weights.

Axes: B samples, T frames, C channels (velocity first), D slices, H rows, W columns; L channels of
the latents, which stand on a grid 2^levels times coarser; F features.
The decoder gives a vector potential and the amplitudes of the geometry's three harmonic fields;
velocity is a discrete curl plus their sum (see `physics.staggered`), in float64 outside training,
so that it has no divergence beyond round-off, crosses no wall and no solid, and has the mean that
the amplitudes say. That velocity vanishes along walls without slip is learned. Further channels
are decoded as they are. Source: the parameterisation of Shodh-MoE (arXiv 2605.15179), of which
only the abstract was read; everything else here is ours.
How the curl is kept out of solids, `velocity`: `potential` takes a potential of zero on all edges
at solids, which carries no flow through their holes: of the corpus `porous_3d` 2 to 6 % of the
speed among spheres and 10 to 29 % in random fields (ten frames, best fits) is beyond any weights.
`projected` takes any potential and projects its curl, one Poisson solve a frame, and reaches every
flow. `free` decodes velocity as it is, for comparison.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.box.projection import Projection
from data_shards.config import Config
from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation.nn.outside_graphs import outside_graphs
from foundation.physics.staggered import (
    curl,
    harmonic_fields,
    open_edges,
    open_faces,
    projected,
    projection,
)

_NORM_GROUPS = 4
_LEAST_SPEED = 1e-6  # what a flow at rest is divided by
_SIDES = (("left", "right"), ("bottom", "top"), ("front", "back"))
_KEPT_BYTES = 1 << 30  # of geometries that were met


class FlowAutoencoderConfig(Config):
    """Sizes of encoder and decoder."""

    width: PositiveInt = 16  # features at full resolution; doubled by every halving
    levels: int = Field(default=2, ge=1, le=9)  # halvings of the grid
    latent_channels: PositiveInt = 8
    velocity: Literal["potential", "projected", "free"] = "potential"

    @property
    def factor(self) -> int:
        """Cells of the flow along a side of one of the latents'."""
        return int(2**self.levels)


@dataclass(frozen=True)
class Flow:
    """A batch's geometry and units.

    Attributes:
        fluid: 1 in the fluid, 0 in solid cells, (B, D, H, W).
        walls_B3: 1 where there are walls across x, y, z.
        open: 1 on faces that flow may cross, (B, 3, D, H, W).
        spacing_B3: of the cells along x, y, z; the least is 1.
        scale: units of the channels, (B, 1, C, 1, 1, 1): of velocity the root mean square speed.
    """

    fluid: Tensor
    walls_B3: Tensor
    open: Tensor
    spacing_B3: Tensor
    scale: Tensor


def flow_of(batch: Batch) -> Flow:
    """What is known of a batch beside its fields.

    Walls are those of the origins; where nobody says, an axis has walls if nothing passes its
    first plane of faces in any frame.
    """
    given = batch.given
    walls_B3 = _walls_said(batch.origins, given) if batch.origins else None
    walls_B3 = _walls_seen(given) if walls_B3 is None else walls_B3
    fluid = batch.valid_mask[:, 0].to(given)
    faces = open_faces(fluid, walls_B3)
    speed = given[:, :, :3].square().mean((1, 2, 3, 4, 5)).mul(3).sqrt().clamp_min(_LEAST_SPEED)
    others = given[:, :, 3:].square().mean((1, 3, 4, 5)).sqrt().clamp_min(_LEAST_SPEED)
    scale = torch.cat([speed[:, None].expand(-1, 3), others], dim=1)
    spacing_B3 = _spacing(batch.origins, given)
    return Flow(fluid, walls_B3, faces, spacing_B3, scale[:, None, :, None, None, None])


class FlowAutoencoder(nn.Module):
    """Encoder and decoder of single frames."""

    def __init__(self, config: FlowAutoencoderConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.levels + 1)]
        self.first = _convolution(channels + 3, widths[0])
        self.fine = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.coarser = nn.ModuleList(
            nn.Conv3d(narrow, wide, 2, stride=2) for narrow, wide in pairwise(widths)
        )
        self.coarse = Residual(widths[-1])
        self.to_latents = nn.Conv3d(widths[-1], config.latent_channels, 1)
        self.from_latents = nn.Conv3d(config.latent_channels + 3, widths[-1], 1)
        self.spread = Residual(widths[-1])
        self.finer = nn.ModuleList(
            nn.ConvTranspose3d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths)
        )
        self.with_faces = nn.ModuleList(_convolution(width + 3, width) for width in widths[:-1])
        self.refine = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.last = _convolution(widths[0], channels)
        self.amplitudes = nn.Linear(widths[-1], 3)
        self._geometries = _Geometries()

    def encode(self, frames: Tensor, flow: Flow) -> Tensor:
        """Frames (B, T, C, D, H, W) to latents (B, T, L, d, h, w)."""
        batch, time = frames.shape[:2]
        dtype = self.first.weight.dtype
        scaled = (frames / flow.scale).to(dtype).flatten(0, 1)
        faces = flow.open.to(dtype).repeat_interleave(time, 0)
        x = self.first(torch.cat([scaled, faces], dim=1))
        for refine, coarser in zip(self.fine, self.coarser, strict=True):
            x = coarser(refine(x))
        latents: Tensor = self.to_latents(self.coarse(x))
        return latents.view(batch, time, *latents.shape[1:])

    def decode(self, latents: Tensor, flow: Flow) -> Tensor:
        """Latents (B, T, L, d, h, w) to frames (B, T, C, D, H, W), in their units.

        Velocity in float64 but in training, where it is of the latents' type.
        """
        batch, time = latents.shape[:2]
        flat = latents.flatten(0, 1)
        faces = flow.open.to(flat.dtype).repeat_interleave(time, 0)
        x = self.spread(
            self.from_latents(torch.cat([flat, coarsened(faces, flat.shape[2:])], dim=1))
        )
        amplitudes: Tensor = self.amplitudes(x.mean((2, 3, 4)))
        stages = zip(self.finer, self.with_faces, self.refine, strict=True)
        for finer, with_faces, refine in reversed([*stages]):
            x = finer(x)
            x = refine(F.gelu(with_faces(torch.cat([x, coarsened(faces, x.shape[2:])], dim=1))))
        fields: Tensor = self.last(x)
        exact = fields.float() if self.training else fields.double()
        velocity = exact[:, :3]
        if self.config.velocity != "free":
            velocity = self._velocity(velocity, amplitudes.to(exact.dtype), flow, time)
        decoded = torch.cat([velocity, exact[:, 3:]], dim=1)
        return decoded.view(batch, time, *decoded.shape[1:]) * flow.scale

    def latent_grid(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Of the latents of a grid."""
        return tuple(cells // self.config.factor for cells in grid)

    def _velocity(self, potential: Tensor, amplitudes: Tensor, flow: Flow, time: int) -> Tensor:
        """Curl of a potential (B T, 3, D, H, W) and harmonic fields of amplitudes (B T, 3)."""
        known = self._geometries(flow)
        harmonic = torch.stack([each.harmonic for each in known]).to(potential)
        spacing_B3 = flow.spacing_B3.to(potential.dtype).repeat_interleave(time, 0)
        spacing = spacing_B3.t()[..., None, None, None].unbind()
        if self.config.velocity == "potential":
            edges = open_edges(flow.open).to(potential.dtype).repeat_interleave(time, 0)
            turning = curl(edges * potential, spacing)
        else:
            projections = [each.projection for each in known for _ in range(time)]
            turning = projected(curl(potential, spacing).double(), projections).to(potential)
            amplitudes = amplitudes - turning.mean((2, 3, 4))
        carried = torch.einsum("na,nacdhw->ncdhw", amplitudes, harmonic.repeat_interleave(time, 0))
        return turning + carried


class Residual(nn.Module):
    """Norm, GELU and convolution, twice, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        groups = _NORM_GROUPS if width % _NORM_GROUPS == 0 else 1
        self.norm_in, self.norm_out = nn.GroupNorm(groups, width), nn.GroupNorm(groups, width)
        self.convolve_in, self.convolve_out = _convolution(width, width), _convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D, H, W) -> (B, F, D, H, W)."""
        inner = self.convolve_in(F.gelu(self.norm_in(x)))
        out: Tensor = x + self.convolve_out(F.gelu(self.norm_out(inner)))
        return out


def _convolution(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, 3, padding=1, padding_mode="circular")


def coarsened(faces: Tensor, grid: Sequence[int]) -> Tensor:
    """Share of open faces (B, 3, D, H, W) in every cell of a coarser grid (B, 3, d, h, w)."""
    depth, rows, columns = grid
    return F.adaptive_avg_pool3d(faces, (depth, rows, columns))


def _walls_said(origins: Sequence[Origin], like: Tensor) -> Tensor | None:
    """(B, 3) of the origins' sides; None if one of them says nothing."""
    if any(not origin.boundary for origin in origins):
        return None
    walls = [[_has_walls(origin, pair) for pair in _SIDES] for origin in origins]
    return like.new_tensor(walls)


def _has_walls(origin: Origin, sides: tuple[str, str]) -> bool:
    return any((origin.boundary or {}).get(side, "periodic") != "periodic" for side in sides)


def _walls_seen(given: Tensor) -> Tensor:
    planes = [given[:, :, axis].select(-1 - axis, 0) for axis in range(3)]
    return torch.stack([(plane == 0).flatten(1).all(1) for plane in planes], dim=1).to(given)


def _spacing(origins: Sequence[Origin], like: Tensor) -> Tensor:
    """Of the cells along x, y, z, (B, 3), in the least one's; cubes where nobody says."""
    cells = [*reversed(like.shape[3:])]
    if any(len(origin.extent) < 6 for origin in origins) or not origins:
        return like.new_ones(len(like), 3, dtype=torch.float64)
    sides = [[o.extent[i + 1] - o.extent[i] for i in (0, 2, 4)] for o in origins]
    spacing = torch.tensor(sides, dtype=torch.float64, device=like.device)
    spacing = spacing / spacing.new_tensor(cells)
    return spacing / spacing.amin(1, keepdim=True)


@dataclass(frozen=True)
class _Geometry:
    """What solids and walls of one sample let through.

    Attributes:
        harmonic: flows of unit mean along each axis, (3, 3, D, H, W) float64.
        projection: onto all flows.
    """

    harmonic: Tensor
    projection: Projection


@dataclass
class _Geometries:
    """Those met last, as solving for their harmonic fields takes longer than all else."""

    kept: OrderedDict[tuple[bytes, bytes, str], _Geometry] = field(default_factory=OrderedDict)

    @outside_graphs  # keyed by values, on the host
    @torch.no_grad()
    def __call__(self, flow: Flow) -> list[_Geometry]:
        """Of every sample (B)."""
        found = []
        for sample, (faces, spacing) in enumerate(zip(flow.open, flow.spacing_B3, strict=True)):
            bits = np.packbits(faces.bool().cpu().numpy()).tobytes()
            key = bits, spacing.cpu().numpy().tobytes(), str(faces.device)
            if key not in self.kept:
                self.kept[key] = _geometry(flow, sample)
            self.kept.move_to_end(key)
            found.append(self.kept[key])
        each = 3 * found[0].harmonic.nbytes  # projections take somewhat more than the fields
        while len(self.kept) * each > _KEPT_BYTES and len(self.kept) > 1:
            self.kept.popitem(last=False)
        return found


def _geometry(flow: Flow, sample: int) -> _Geometry:
    walls = [bool(wall) for wall in flow.walls_B3[sample]]
    of_sample = flow.fluid[sample], flow.spacing_B3[sample].tolist(), walls
    return _Geometry(harmonic_fields(*of_sample), projection(*of_sample))


def decoding_products(config: FlowAutoencoderConfig, channels: int, resolution: int) -> int:
    """Multiply-adds of decoding one frame."""
    widths, cells = _sizes(config, resolution)
    coarse = cells[-1] * widths[-1] * (config.latent_channels + 3) + _residual(
        widths[-1], cells[-1]
    )
    stages = sum(
        count * (wide * narrow + 27 * (narrow + 3) * narrow) + _residual(narrow, count)
        for narrow, wide, count in zip(widths[:-1], widths[1:], cells[:-1], strict=True)
    )
    return coarse + stages + 27 * cells[0] * widths[0] * channels + 3 * widths[-1]


def encoding_products(config: FlowAutoencoderConfig, channels: int, resolution: int) -> int:
    """Multiply-adds of encoding one frame."""
    widths, cells = _sizes(config, resolution)
    stages = sum(
        _residual(narrow, count) + count * narrow * wide
        for narrow, wide, count in zip(widths[:-1], widths[1:], cells[:-1], strict=True)
    )
    coarse = _residual(widths[-1], cells[-1]) + cells[-1] * widths[-1] * config.latent_channels
    return entry_products(config, channels, resolution) + stages + coarse


def entry_products(config: FlowAutoencoderConfig, channels: int, resolution: int) -> int:
    """Multiply-adds of the first convolution, of frames and open faces."""
    return 27 * resolution**3 * (channels + 3) * config.width


def coding_kept(config: FlowAutoencoderConfig, channels: int, resolution: int) -> int:
    """Numbers that encoding or decoding one frame keeps for the backward pass."""
    widths, cells = _sizes(config, resolution)
    # What goes into two norms, two GELUs and two convolutions, and into the maps between grids.
    inside = sum(8 * width * count for width, count in zip(widths, cells, strict=True))
    return inside + cells[0] * (channels + 3)


def _sizes(config: FlowAutoencoderConfig, resolution: int) -> tuple[list[int], list[int]]:
    levels = range(config.levels + 1)
    widths = [config.width * 2**level for level in levels]
    return widths, [(resolution // 2**level) ** 3 for level in levels]


def _residual(width: int, cells: int) -> int:
    return 2 * 27 * width * width * cells
