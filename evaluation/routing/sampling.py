"""Which windows are looked at: a split in, (trajectory, start frame) pairs out.

Windows are spread evenly over the whole split, since files are often sorted by a parameter
or a geometry; start frames are drawn apart for every trajectory, without replacement.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from data_shards.stream.windows import load_windows
from evaluation.routing.task import WindowStart

Window = tuple[int, int]


def choose_windows(
    name: str,
    trajectories: int,
    starts: int,
    *,
    count: int,
    start: WindowStart = "random",
    seed: int = 0,
) -> list[Window]:
    """Windows of a split, the same at every call.

    Args:
        name: of the split, which the drawing of start frames depends on.
        trajectories: how many it has.
        starts: frames at which a window may begin.
        count: windows wanted; fewer come where the split has fewer.
        start: `random`, or `first` for the one window at frame 0 of a trajectory.
        seed: of the start frames.

    Returns:
        (trajectory, start frame), sorted; numbers of windows differ by one at most between
        trajectories.
    """
    starts = 1 if start == "first" else starts
    count = min(count, trajectories * starts)
    shares = np.bincount(np.arange(count) * trajectories // count, minlength=trajectories)
    windows = []
    for trajectory in np.flatnonzero(shares).tolist():
        rng = np.random.default_rng([seed, crc32(name.encode()), trajectory])
        drawn = rng.choice(starts, size=shares[trajectory], replace=False)
        windows += [(trajectory, int(first)) for first in sorted(drawn)]
    return windows


def load_contexts(
    corpus: ShardedCorpus,
    windows: list[Window],
    layout: ModelLayout,
    context_frames: int,
    learnt: Sequence[str] = (),
) -> Batch:
    """Windows as a batch without a target.

    Args:
        corpus: an opened split.
        windows: (trajectory, start frame).
        layout: grid and channels of the model.
        context_frames: frames of a window.
        learnt: corpora of the model's training, in their order.
    """
    trajectories, starts = zip(*windows, strict=True)
    return load_windows(
        corpus,
        trajectories,
        layout,
        context_frames=context_frames,
        target_frames=0,
        start=starts,
        learnt=learnt,
    )
