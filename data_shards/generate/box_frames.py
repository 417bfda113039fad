"""From a flow in a box to stored frames: u, v, w on lower faces and pressure at cell centres.

Axes: T frames, D slices (z), H rows (y, upwards), W columns (x).
A coarser output keeps the flux through each of its faces, and so has no divergence either.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_shards.box.grid import COMPONENTS, dim_of
from data_shards.generate.box_flow import BoxFlow


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, so that sums do not depend on where a trajectory is made."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def frames_of(flow: BoxFlow, count: int, interval: float, factor: int) -> NDArray[np.float32]:
    """State after 1, 2, ... intervals, (T, 4, D, H, W), on cells `factor` times as long."""
    frames = []
    for _ in range(count):
        flow.advance(interval)
        faces = coarsened(flow.velocity, factor)
        pressure = _centred(flow.pressure, flow.box.fluid)
        state = torch.cat([faces, _means(pressure[None], factor, COMPONENTS)])
        frames.append(state.cpu().numpy().astype(np.float32))
    return np.stack(frames)


def coarsened(velocity: Tensor, factor: int) -> Tensor:
    """Mean over each coarse face of the velocity through it, (3, D, H, W)."""
    faces = []
    for axis in COMPONENTS:
        dim = dim_of(axis)
        on_faces = torch.arange(0, velocity.shape[dim], factor, device=velocity.device)
        own = velocity[axis : axis + 1].index_select(dim, on_faces)
        faces.append(_means(own, factor, [other for other in COMPONENTS if other != axis]))
    return torch.cat(faces)


def refined(velocity: Tensor, factor: int) -> Tensor:
    """The same flow on cells `factor` times as short: each face's flux spread evenly over it.

    Between coarse faces the velocity is linear along its own axis, so that every fine cell has
    the divergence of the coarse one around it.
    """
    faces = []
    for axis in COMPONENTS:
        dim, own = dim_of(axis), velocity[axis]
        following = own.roll(-1, dim)
        parts = [torch.lerp(own, following, step / factor) for step in range(factor)]
        own = torch.stack(parts, dim).flatten(dim - 1, dim)
        for other in set(COMPONENTS) - {axis}:
            own = own.repeat_interleave(factor, dim_of(other))
        faces.append(own)
    return torch.stack(faces)


def fine_solid(solid: NDArray[np.bool_], factor: int) -> Tensor:
    """The same solid in cells `factor` times as short."""
    return torch.from_numpy(np.kron(solid, np.ones((factor,) * 3, np.bool_))).to(
        torch.get_default_device()
    )


def _centred(pressure: Tensor, fluid: Tensor) -> Tensor:
    """Pressure with mean zero over the fluid, zero in solids: only its slope has a meaning."""
    return (pressure - (pressure * fluid).sum() / fluid.sum()) * fluid


def _means(fields: Tensor, factor: int, axes: Iterable[int]) -> Tensor:
    for axis in axes:
        dim = dim_of(axis)
        fields = torch.unflatten(fields, dim, (-1, factor)).mean(dim)
    return fields
