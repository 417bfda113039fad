"""Corpora in, batches out: the training stream.

Batch n of rank r holds the samples first + n * global_batch + r * local + (0 .. local - 1)
of the plan, local = global_batch / world. So the state of a stream is one
integer, the samples consumed, whatever the numbers of ranks and of workers.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import cast

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch.utils.data import DataLoader, Sampler

from data_shards.config import Config, later
from data_shards.errors import UserError
from data_shards.memory import keep_freed_memory
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.assemble import to_batch
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, placement_of, unlabelled
from data_shards.stream.mixture import MixtureConfig, MixturePlan, SampleId, Source
from data_shards.stream.shared import Sent, check_shared_memory, received
from data_shards.stream.windows import read_window


class StreamConfig(Config):
    """Windows, mixture and loading."""

    mixture: MixtureConfig = MixtureConfig()
    context_frames: PositiveInt = 10
    target_frames: PositiveInt = 1
    workers: NonNegativeInt = 0  # processes that decode ahead; 0: in the caller
    unlabelled: tuple[str, ...] = ()  # corpora whose asked fields are not shown
    prefetch: PositiveInt = 2  # batches each worker keeps ready, in shared memory (/dev/shm)
    # What all workers together keep ready; fewer work, down to one, where batches are large.
    prefetch_bytes: PositiveInt = later(1 << 30)


class SampleStream:
    """Deterministic batches from a mixture of corpora."""

    def __init__(
        self, corpora: Sequence[ShardedCorpus], config: StreamConfig, layout: ModelLayout
    ) -> None:
        """Plan a stream.

        Raises:
            UserError: a corpus has too few frames for a window or too many channels for the
                model, or the mixture's weights do not fit the corpora.
        """
        self.corpora = tuple(corpora)
        self.config = config
        self.layout = layout
        placements = [placement_of(corpus.card, layout) for corpus in self.corpora]
        self._placements = [
            unlabelled(placement) if corpus.name in config.unlabelled else placement
            for corpus, placement in zip(self.corpora, placements, strict=True)
        ]
        given, asked = config.context_frames, config.target_frames
        lengths = [corpus.card.window_frames(given, asked) for corpus in self.corpora]
        for corpus, length in zip(self.corpora, lengths, strict=True):
            if corpus.frames < length:
                raise UserError(
                    f"corpus {corpus.name} has {corpus.frames} frames, a window takes "
                    f"{given} + {asked}; shorten the context or leave the corpus out"
                )
        sources = [
            Source(c.name, c.num_trajectories, c.frames - length + 1)
            for c, length in zip(self.corpora, lengths, strict=True)
        ]
        self.plan = MixturePlan(sources, config.mixture)

    def batches(
        self, first_sample: int, global_batch: int, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """This rank's share of every global batch, without end.

        Args:
            first_sample: samples that the run has consumed so far, over all ranks.
            global_batch: samples per step over all ranks.
            rank: this process, 0 .. world - 1.
            world: number of processes.

        Raises:
            UserError: the global batch does not divide by the number of ranks, or workers have
                too little shared memory.
        """
        if first_sample < 0 or global_batch < 1 or not 0 <= rank < world:
            raise ValueError(
                f"first_sample={first_sample}, global_batch={global_batch}, rank={rank}, "
                f"world={world}: wanted 0 <= first_sample, 1 <= global_batch, 0 <= rank < world"
            )
        if global_batch % world:
            raise UserError(
                f"a global batch of {global_batch} samples does not divide by {world} ranks; "
                f"take {global_batch // world * world or world} or "
                f"{(global_batch // world + 1) * world}"
            )
        local = global_batch // world
        slices = _Slices(self, first_sample + rank * local, global_batch, local)
        if self.config.workers == 0:
            return map(slices.__getitem__, count())
        workers, prefetch = self._ahead(local)
        check_shared_memory(workers * prefetch * self.batch_bytes(local))
        loader = DataLoader(
            Sent(slices.__getitem__),
            batch_size=None,
            sampler=_Counting(),
            num_workers=workers,
            prefetch_factor=prefetch,
            collate_fn=_unchanged,
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # or it would advance the global one
        )
        return map(received, loader)

    def decode(self, first_sample: int, number: int) -> Batch:
        """The plan's samples first_sample .. first_sample + number - 1 as one batch."""
        frames = self.config.context_frames, self.config.target_frames
        windows = []
        for sample in (self.plan.sample(first_sample + row) for row in range(number)):
            corpus, placement = self.corpora[sample.corpus], self._placements[sample.corpus]
            where = sample.trajectory, sample.start
            key = self._key(sample)
            windows.append(
                read_window(corpus, *where, self.layout, placement, frames, key, sample.corpus)
            )
        return to_batch(windows, self.layout)

    def sample_keys(self, first_sample: int, number: int) -> tuple[str, ...]:
        """Names of samples, "pdebench_swe/train-000017@23", for reports; reads no data."""
        indices = range(first_sample, first_sample + number)
        return tuple(self._key(self.plan.sample(index)) for index in indices)

    def _ahead(self, local: int) -> tuple[int, int]:
        """Workers, and batches that each keeps ready, within `prefetch_bytes` if one fits."""
        ready = max(1, self.config.prefetch_bytes // self.batch_bytes(local))
        workers = min(self.config.workers, ready)
        return workers, min(self.config.prefetch, ready // workers)

    def batch_bytes(self, number: int) -> int:
        """Bytes of the fields and the mask of a batch of this many samples."""
        given = self.config.context_frames * self.layout.channels
        asked = self.config.target_frames * self.layout.num_asked
        return 4 * number * (given + asked + 1) * prod(self.layout.grid)

    def _key(self, sample: SampleId) -> str:
        corpus = self.corpora[sample.corpus]
        return f"{corpus.name}/{corpus.keys[sample.trajectory]}@{sample.start}"


@dataclass(frozen=True)
class _Slices:
    """Batch n of one rank; a map, so that the loader's order does not depend on its workers."""

    stream: SampleStream
    first: int
    stride: int
    local: int

    def __getitem__(self, number: int) -> Batch:
        return self.stream.decode(self.first + number * self.stride, self.local)


class _Counting(Sampler[int]):
    """0, 1, 2, ... without end."""

    def __iter__(self) -> Iterator[int]:
        return iter(count())


def _start_worker(_worker: int) -> None:
    """A signal to the whole job is the trainer's to answer; workers end with their parent."""
    keep_freed_memory()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _unchanged(sent: object) -> Batch | Exception:
    return cast(Batch | Exception, sent)
