"""Patches against torch's convolutions, and coordinates."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from foundation.nn.patch import (
    PatchEmbedding,
    PatchHead,
    coordinates_like,
    from_patches,
    in_patches,
    mapped,
    patches_apart,
)


def test_embedding_is_a_strided_convolution_of_fields_and_coordinates(generator):
    embed = PatchEmbedding(3, 7, 5, patch=4)
    x = torch.randn(2, 6, 3, 8, 12, generator=generator)
    places = coordinates_like(x).expand(2, -1, -1, -1, -1)
    frames = torch.cat([x, places], dim=2).flatten(0, 1)
    weight = embed.project.weight.view(7, 6, 4, 4)
    hidden = F.gelu(F.conv2d(frames, weight, embed.project.bias, stride=4)).unflatten(0, (2, 6))
    expected = hidden.permute(0, 3, 4, 1, 2)
    torch.testing.assert_close(embed(x), expected, rtol=1e-5, atol=1e-6)


def test_head_starts_with_a_transposed_convolution(generator):
    head = PatchHead(5, 6, 2, patch=4)
    head.reset(generator)
    x = torch.randn(2, 3, 2, 5, generator=generator)
    # (P * P * between, D) -> (D, between, P, P)
    weight = head.unfold.weight.view(4, 4, 6, 5).permute(3, 2, 0, 1)
    y = F.conv_transpose2d(x.permute(0, 3, 1, 2), weight, head.unfold_bias, stride=4)
    expected = head.project(F.gelu(head.hidden(F.gelu(y).permute(0, 2, 3, 1))))
    torch.testing.assert_close(head(x), expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_patches_of_planes_are_unshuffled_pixels_and_shuffled_back(size, generator):
    fields = torch.randn(2, 3, 8, 12, generator=generator)
    patches = in_patches(fields, size)
    torch.testing.assert_close(patches, F.pixel_unshuffle(fields, size).movedim(1, -1))
    torch.testing.assert_close(from_patches(patches, size), fields)


@pytest.mark.parametrize("grid", [(8,), (4, 6, 8)])
def test_patches_of_lines_and_boxes_lie_where_their_cells_do(grid, generator):
    fields = torch.randn(2, 3, *grid, generator=generator)
    patches = in_patches(fields, 2)
    assert patches.shape == (2, *(count // 2 for count in grid), 3 * 2 ** len(grid))
    for place, cells in ((0, slice(2)), (-1, slice(-2, None))):  # the first patch, and the last
        expected = fields[:, :, *(cells for _ in grid)].flatten(1)
        torch.testing.assert_close(patches[:, *(place for _ in grid)], expected)
    torch.testing.assert_close(from_patches(patches, 2), fields)


@pytest.mark.parametrize("grid", [(8,), (8, 12), (4, 6, 8)])
@pytest.mark.parametrize("size", [1, 2])
def test_patches_that_lie_apart_are_mapped_as_others(grid, size, generator):
    fields = torch.randn(2, 3, *grid, generator=generator)
    patches = in_patches(fields, size)
    apart = patches_apart(fields, size)
    torch.testing.assert_close(apart, patches, rtol=0, atol=0)
    linear = nn.Linear(patches.shape[-1], 5)
    out, expected = mapped(apart, linear), linear(patches)
    torch.testing.assert_close(out, expected)
    weights = torch.randn(out.shape, generator=generator)
    own = torch.autograd.grad((out * weights).sum(), linear.parameters())
    theirs = torch.autograd.grad((expected * weights).sum(), linear.parameters())
    torch.testing.assert_close(own, theirs)


def test_coordinates_run_from_zero_to_one_along_their_axis():
    out = coordinates_like(torch.zeros(2, 3, 1, 4, 5))
    assert out.shape == (3, 3, 4, 5)
    torch.testing.assert_close(out[0, 0, :, 2], torch.linspace(0, 1, 4))
    torch.testing.assert_close(out[2, 1, 3, :], torch.linspace(0, 1, 5))
    torch.testing.assert_close(out[:, 2, 0, 0], torch.linspace(0, 1, 3))
