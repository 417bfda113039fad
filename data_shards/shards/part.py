"""Part of an opened split: some of its trajectories, some of their frames.

Few-shot learning takes the first trajectories of an order that the seed fixes,
so that those of a smaller number are among those of a larger one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.hashing import keyed, mix
from data_shards.shards.corpus import ShardedCorpus


class CorpusPart(ShardedCorpus):
    """Reads as the split it is a part of, and shares its files and checksums."""

    def __init__(
        self, whole: ShardedCorpus, trajectories: Sequence[int], first: int, frames: int
    ) -> None:
        """Take a part; nothing is read.

        Args:
            whole: an opened split, or a part of one.
            trajectories: which ones, by number in `whole`.
            first: frame of `whole` that becomes frame 0.
            frames: how many there are from it on.
        """
        if first < 0 or frames < 1 or first + frames > whole.frames:
            raise ValueError(f"frames {first} + {frames} of {whole.frames} in {whole.name}")
        self.__dict__.update(whole.__dict__)
        self._whole = whole
        self._chosen = tuple(trajectories)
        self._first, self._frames = first, frames
        self._places = [whole._places[number] for number in self._chosen]
        self.keys = tuple(whole.keys[number] for number in self._chosen)

    @property
    def frames(self) -> int:
        return self._frames

    def window(self, trajectory: int, start: int, length: int) -> NDArray[np.float32]:
        if start < 0 or length < 1 or start + length > self.frames:
            raise IndexError(f"{self.name}: frames {start} + {length} of {self.frames} in a part")
        self._place(trajectory)
        return self._whole.window(self._chosen[trajectory], self._first + start, length)

    def metadata(self, trajectory: int) -> dict[str, Any]:
        self._place(trajectory)
        return self._whole.metadata(self._chosen[trajectory])


def few(corpus: ShardedCorpus, count: int, seed: int) -> ShardedCorpus:
    """Trajectories for learning from a few: nested in their number under one seed.

    Args:
        corpus: an opened split.
        count: how many.
        seed: of the order they are taken in; the order of reading stays that of the files.

    Raises:
        UserError: there are not that many.
    """
    there = corpus.num_trajectories
    if count > there:
        raise UserError(
            f"corpus {corpus.name}: {count} trajectories wanted, its {corpus.split} split has "
            f"{there}; ask for at most {there}, or generate more"
        )
    key = keyed(f"few/{corpus.name}", seed)
    order = sorted(range(there), key=lambda number: mix(key ^ mix(number)))
    return CorpusPart(corpus, sorted(order[:count]), 0, corpus.frames)


def reconstructed(corpus: ShardedCorpus) -> ShardedCorpus:
    """The same trajectories for a model that is asked for the frames that it is given."""
    same = CorpusPart(corpus, range(corpus.num_trajectories), 0, corpus.frames)
    same.card = corpus.card.model_copy(update={"window": "same"})
    return same


def hold_out(corpus: ShardedCorpus, frames: int, context: int) -> tuple[ShardedCorpus, CorpusPart]:
    """Split trajectories in time: what is trained on, and the end that is held out.

    Args:
        corpus: an opened split.
        frames: held out, the last ones of every trajectory.
        context: frames before them that a forecast of them starts from.

    Returns:
        Frames to train on, and the window of context and held-out frames.

    Raises:
        UserError: too few frames would remain to train on.
    """
    left = corpus.frames - frames
    if left <= context:
        raise UserError(
            f"corpus {corpus.name}: of {corpus.frames} frames {frames} are held out, the context "
            f"takes {context}; hold out at most {max(corpus.frames - context - 1, 0)}"
        )
    everything = range(corpus.num_trajectories)
    held = CorpusPart(corpus, everything, left - context, context + frames)
    return CorpusPart(corpus, everything, 0, left), held
