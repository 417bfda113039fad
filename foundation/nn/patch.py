"""Patches: frames in, one feature vector per patch out; and back to frames.

Axes: B samples, T frames, C channels, H rows, W columns; h, w patches; D width;
P patch size; S any grid of A axes, s its patches, F the numbers of a patch.
Source: MoE-POT, network items 2 and 5.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchEmbedding(nn.Module):
    """Convolution P x P with stride P on fields and coordinates, then GELU.

    Coordinates run from 0 to 1 along H, along W and over the frames. They are
    the same for every sample, so their part of the convolution is computed once.
    `expand`, the 1 x 1 map to the width that follows, is applied together with
    the temporal aggregation.
    """

    def __init__(self, channels: int, between: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Linear((channels + 3) * patch * patch, between)
        self.expand = nn.Linear(between, width)

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """(B, T, C, H, W) -> (B, h, w, T, F), F features before the map to the width."""
        fields = _patches(frames_BTCHW, self.patch)
        places = _patches(coordinates_like(frames_BTCHW)[None], self.patch)
        weight, bias = self.project.weight, self.project.bias
        shared = F.linear(places, weight[:, fields.shape[-1] :], bias)
        return F.gelu(F.linear(fields, weight[:, : fields.shape[-1]]) + shared)


def _patches(frames_BTCHW: Tensor, size: int) -> Tensor:
    """(B, T, C, H, W) -> (B, h, w, T, C * P * P)."""
    # A stride equal to the kernel makes the convolution a matrix product over patches.
    of_all_BhwF = in_patches(frames_BTCHW.flatten(1, 2), size)
    return torch.unflatten(of_all_BhwF, -1, (frames_BTCHW.shape[1], -1))


class PatchHead(nn.Module):
    """Transposed convolution P x P with stride P, then two 1 x 1 maps, GELU between."""

    def __init__(self, width: int, between: int, channels_out: int, patch: int) -> None:
        super().__init__()
        self.patch, self.between = patch, between
        self.unfold = nn.Linear(width, patch * patch * between, bias=False)
        self.unfold_bias = nn.Parameter(torch.zeros(between))
        self.hidden = nn.Linear(between, between)
        self.project = nn.Linear(between, channels_out)

    def reset(self, generator: torch.Generator) -> None:
        """Bias of the transposed convolution: uniform by its fan, as torch does it."""
        bound = (self.between * self.patch**2) ** -0.5
        with torch.no_grad():
            self.unfold_bias.uniform_(-bound, bound, generator=generator)
            # torch takes a transposed convolution's fan from its second axis.
            self.unfold.weight.uniform_(-bound, bound, generator=generator)

    def forward(self, x_BhwD: Tensor) -> Tensor:
        """(B, h, w, D) -> (B, C, H, W)."""
        batch, rows, columns, _ = x_BhwD.shape
        size = self.patch
        x = self.unfold(x_BhwD).reshape(batch, rows, columns, size, size, self.between)
        # The 1 x 1 maps work on pixels in any order: only the last, thinnest map is reordered.
        x = F.gelu(self.hidden(F.gelu(x + self.unfold_bias)))
        x = F.linear(x, self.project.weight, self.project.bias)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, rows * size, columns * size)


class SmoothHead(nn.Module):
    """A 1 x 1 map, linear interpolation to cells, the frames beside, two convolutions 3 x 3.

    What patches give is continuous across their edges, and what varies within them comes from the
    frames at full resolution: the grid of patches does not show. Ours; no head of a paper.
    """

    def __init__(
        self, width: int, between: int, channels_in: int, channels_out: int, patch: int
    ) -> None:
        super().__init__()
        self.patch = patch
        self.narrow = nn.Linear(width, between)
        self.beside = nn.Conv2d(channels_in, between, 3, padding=1)
        self.hidden = nn.Conv2d(between, between, 3, padding=1)
        self.project = nn.Linear(between, channels_out)

    def forward(self, x_BhwD: Tensor, stack_BCHW: Tensor) -> Tensor:
        """(B, h, w, D) and stacked frames (B, C_in, H, W) -> (B, C, H, W)."""
        coarse = self.narrow(x_BhwD).movedim(-1, 1)
        fine = F.interpolate(coarse, scale_factor=self.patch, mode="bilinear")
        x = F.gelu(self.hidden(F.gelu(fine + self.beside(stack_BCHW))))
        fields: Tensor = self.project(x.movedim(1, -1))
        return fields.movedim(-1, 1)


def stacked_with_places(frames_BTCS: Tensor) -> Tensor:
    """Frames as channels, and where each point lies along each of A axes: (B, T * C + A, *S)."""
    places = places_like(frames_BTCS[:, 0]).expand(len(frames_BTCS), *[-1] * (frames_BTCS.ndim - 2))
    return torch.cat([frames_BTCS.flatten(1, 2), places], dim=1)


def in_patches(fields_BCS: Tensor, size: int) -> Tensor:
    """What P cells along each of A axes hold, in one place: (B, *s, C * P^A)."""
    axes, x = fields_BCS.ndim - 2, fields_BCS
    for axis in reversed(range(2, 2 + axes)):
        x = torch.unflatten(x, axis, (-1, size))
    order = (0, *range(2, 2 + 2 * axes, 2), 1, *range(3, 3 + 2 * axes, 2))
    return x.permute(order).flatten(1 + axes)


def patches_apart(fields_BCS: Tensor, size: int) -> Tensor:
    """As `in_patches`, in fewer passes over memory, but features lie apart: for `mapped`."""
    if size == 1:
        return fields_BCS.movedim(1, -1)
    if fields_BCS.ndim == 4:
        return F.pixel_unshuffle(fields_BCS, size).movedim(1, -1)
    return in_patches(fields_BCS, size)


def from_patches(x_BsF: Tensor, size: int) -> Tensor:
    """The same backwards: (B, *s, C * P^A) -> (B, C, *S)."""
    axes = x_BsF.ndim - 2
    if size == 1:
        return x_BsF.movedim(-1, 1)
    if axes == 2:
        return F.pixel_shuffle(x_BsF.movedim(-1, 1), size)
    x = torch.unflatten(x_BsF, -1, (-1, *[size] * axes))
    pairs = ((1 + axis, 2 + axes + axis) for axis in range(axes))
    x = x.permute(0, 1 + axes, *(axis for pair in pairs for axis in pair))
    for axis in range(2, 2 + axes):
        x = x.flatten(axis, axis + 1)
    return x


def to_cells(x_BsD: Tensor, size: int) -> Tensor:
    """Features of patches interpolated linearly to cells: (B, *s, D) -> (B, *S, D).

    At the ends of every axis half a patch repeats the last one, of a periodic axis, too.
    """
    mode = ("linear", "bilinear", "trilinear")[x_BsD.ndim - 3]
    return F.interpolate(x_BsD.movedim(-1, 1), scale_factor=size, mode=mode).movedim(1, -1)


def mapped(fields_BsF: Tensor, linear: nn.Linear) -> Tensor:
    """A linear map (B, *s, F) -> (B, *s, D) that copies no features that lie apart in memory.

    The gradient of its weight is summed over samples last, so that B of them are held for a moment.
    """
    if fields_BsF.is_contiguous():
        return linear(fields_BsF)  # type: ignore[no-any-return]
    rows_BNF = fields_BsF.flatten(1, -2)
    weights_BFD = linear.weight.t().expand(len(rows_BNF), -1, -1)
    return torch.baddbmm(linear.bias, rows_BNF, weights_BFD).view(*fields_BsF.shape[:-1], -1)


def coordinates_like(frames_BTCHW: Tensor) -> Tensor:
    """Grid coordinates of some frames, along H, along W and in time, each from 0 to 1.

    Returns:
        (T, 3, H, W), of the frames' type and device.
    """
    _, frames, _, rows, columns = frames_BTCHW.shape
    times = torch.linspace(0, 1, frames, device=frames_BTCHW.device).view(-1, 1, 1, 1)
    times = times.expand(frames, 1, rows, columns).to(frames_BTCHW.dtype)
    return torch.cat([places_like(frames_BTCHW[:, 0]).expand(frames, -1, -1, -1), times], dim=1)


def places_like(fields_BCS: Tensor) -> Tensor:
    """Where each point lies along each of A axes, from 0 to 1.

    Returns:
        (1, A, *S), of the fields' type and device.
    """
    grid = fields_BCS.shape[2:]
    along = [torch.linspace(0, 1, count, device=fields_BCS.device) for count in grid]
    return torch.stack(torch.meshgrid(*along, indexing="ij"))[None].to(fields_BCS.dtype)
