"""A domain of space and time in boxes: shares of every point in every box, and points to solve at.

Axes: K boxes, T frames, S the grid of space, P points of frames and grid, flattened.
A window says which share of a point is a box's; the windows of all boxes sum to one everywhere,
so that fields put together with them are whole. Without overlap they are zeros and ones; with
it a box goes on beyond its faces, and its share falls linearly across the overlap. Ends of the
domain are no faces, those of periodic axes neither.
Source: PI-HC-MoE (ICLR 2024), boxes without overlap. Addition: overlap, and points given to
boxes at random, wherever they lie (`scattered`), to see what boxes are worth.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from data_shards.errors import UserError


def box_windows(shape: Sequence[int], splits: Sequence[int], overlap: int = 0) -> Tensor:
    """Shares of the boxes of a regular split.

    Args:
        shape: frames and cells along each axis.
        splits: number of boxes along each of these axes.
        overlap: cells (and frames) by which a box goes on beyond its faces.

    Returns:
        (K, T, *S) float64 in [0, 1], boxes in row-major order; sums to 1 over K.

    Raises:
        UserError: another number of axes, more boxes than cells, or an overlap that reaches
            beyond the middle of a neighbour.
    """
    if len(splits) != len(shape):
        raise UserError(
            f"boxes={list(splits)}: wanted {len(shape)} numbers, of boxes along time and space"
        )
    windows = torch.ones(1, dtype=torch.float64)
    for cells, count in zip(shape, splits, strict=True):
        along = _along(cells, count, overlap)
        windows = torch.einsum("k...,jx->kj...x", windows, along).flatten(0, 1)
    return windows


def _along(cells: int, count: int, overlap: int) -> Tensor:
    """Shares along one axis, (count, cells)."""
    if count > 1 and 2 * overlap > cells // count:
        raise UserError(
            f"overlap={overlap}: {count} boxes along {cells} cells have {cells // count} each; "
            f"take at most {cells // count // 2}, or fewer boxes"
        )
    if count > cells:
        raise UserError(f"{count} boxes along {cells} cells; take fewer boxes")
    centres = torch.arange(cells, dtype=torch.float64) + 0.5
    beyond = [torch.ones_like(centres)]  # the share of all boxes from a face on
    for number in range(1, count):
        face = number * cells // count
        if overlap:
            beyond.append(((centres - face + overlap) / (2 * overlap)).clamp(0, 1))
        else:
            beyond.append((centres > face).double())
    beyond.append(torch.zeros_like(centres))
    return torch.stack([one - after for one, after in pairwise(beyond)])


def at_faces(shape: Sequence[int], splits: Sequence[int], overlap: int = 0) -> Tensor:
    """Points at which boxes meet: two cells across a face, or what they share by overlap.

    Args:
        shape, splits, overlap: as for `box_windows`.

    Returns:
        (K, T, *S) boolean: which of them lie in or beside a box. None is in the initial frame,
        which is known.
    """
    shares = box_windows(shape, splits, max(overlap, 1))
    between = (shares > 0) & (shares < 1)
    between[:, 0] = False
    return between


def scattered_windows(shape: Sequence[int], count: int, seed: int) -> Tensor:
    """Every point given to one of `count` boxes at random, all alike in number to one point.

    Returns:
        (K, T, *S) float64 of zeros and ones.
    """
    points = prod(shape)
    order = torch.randperm(points, generator=torch.Generator().manual_seed(seed))
    owner_P = torch.empty(points, dtype=torch.int64)
    owner_P[order] = torch.arange(points) % count
    return torch.nn.functional.one_hot(owner_P, count).t().double().view(count, *shape)


def drawn_points(
    windows_KP: Tensor, usable_P: Tensor, budget: int | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Points at which every box is solved, drawn from those that are its own.

    Args:
        windows_KP: shares; a box owns where it has one.
        usable_P: boolean; points that may be drawn.
        budget: points of a box; None: all of them.
        generator: on the CPU.

    Returns:
        Positions (K, M) int64, and (K, M) float64 of ones, zeros where a box has fewer points
        than others.

    Raises:
        UserError: a box has no point.
    """
    own = [(shares_P > 0) & usable_P for shares_P in windows_KP]
    found = [is_own_P.nonzero().squeeze(1) for is_own_P in own]
    if not all(len(points) for points in found):
        raise UserError("a box holds no point at which the equation can be asked; take fewer boxes")
    if budget is not None:
        found = [p[torch.randperm(len(p), generator=generator)[:budget]] for p in found]
    most = max(len(points) for points in found)
    positions_KM = torch.zeros(len(found), most, dtype=torch.int64)
    counts_KM = torch.zeros(len(found), most, dtype=torch.float64)
    for box, points in enumerate(found):
        positions_KM[box, : len(points)] = points
        counts_KM[box, : len(points)] = 1.0
    return positions_KM, counts_KM
