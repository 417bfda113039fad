"""Whole trajectories from HDF5, resized: the yardstick of the stream, not a part of it.

The published loader keeps one file per trajectory, `data` (X, Y, T, C), and for
every sample reads all of it, resizes all of it and then cuts the few frames
that it needs. Source: preparation of MoE-POT and DPOT, as facts.
Axes: T frames, C channels of the model, R x R cells.
"""

from collections.abc import Iterable
from pathlib import Path

import h5py
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from data_shards.shards.corpus import ShardedCorpus


def unpack(corpus: ShardedCorpus, trajectories: Iterable[int], folder: Path) -> list[Path]:
    """Write trajectories of a sharded corpus as files of the published layout."""
    paths = []
    for number in trajectories:
        paths.append(folder / f"{corpus.name}_data_{number}.hdf5")
        frames_TCHW = corpus.window(number, 0, corpus.frames)
        with h5py.File(paths[-1], "w") as file:
            file["data"] = frames_TCHW.transpose(3, 2, 0, 1)
    return paths


def read_whole(path: Path, start: int, length: int, resolution: int, channels: int) -> Tensor:
    """A window (length, C, R, R) by way of the whole trajectory.

    Args:
        path: a file of `unpack`.
        start: first frame of the window.
        length: frames of the window.
        resolution: R; equal sizes are not resized, which favours this reader.
        channels: C; those that the corpus lacks are ones.
    """
    with h5py.File(path, "r") as file:
        data_XYTC = torch.from_numpy(file["data"][()])
    frames_TCHW = data_XYTC.permute(2, 3, 1, 0)
    size = (resolution, resolution)
    if frames_TCHW.shape[-2:] != size:
        frames_TCHW = interpolate(frames_TCHW, size, mode="bilinear", align_corners=False)
    native = frames_TCHW.shape[1]
    padded = torch.ones(frames_TCHW.shape[0], channels, *size)
    padded[:, :native] = frames_TCHW
    return padded[start : start + length]
