"""Many trajectories of one split, in index order, by a pool of processes.

Each worker is single-threaded, so workers = cores is the right choice. The
result does not depend on the number of workers.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.generate.simulation import simulate
from data_shards.trajectory import Trajectory

# Trajectories in flight: enough to keep the workers of one machine busy, few enough for memory.
AHEAD = 4 * (os.cpu_count() or 1)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor | None]:
    """Processes that may serve several corpora in turn: starting them takes seconds.

    Args:
        workers: processes; 1 means none, everything then runs in this one.

    Raises:
        UserError: workers are fewer than 1, or a worker died.
    """
    if workers < 1:
        raise UserError(f"workers={workers}; wanted 1 or more")
    if workers == 1:
        yield None
        return
    # Spawned, not forked: a fork of a process that has run torch or numba threads may hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            f"a worker process died, most likely for lack of memory; use fewer than {workers} "
            "workers or a lower resolution"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def generate_corpus(
    card: CorpusCard,
    *,
    split: Split,
    count: int,
    resolution: int,
    seed: int,
    pool: Executor | None = None,
    first: int = 0,
) -> Iterator[Trajectory]:
    """Trajectories first ... count - 1 of a split, in this order.

    Args:
        card: which corpus.
        split: train, validation or test.
        count: how many the split has.
        resolution: output cells along x.
        seed: of the whole corpus.
        pool: of `worker_pool`; None simulates in this process.
        first: where to begin, to go on after a stop.

    Raises:
        UserError: the count is negative.
        SimulationError: a trajectory is not fit for the corpus; nothing is skipped.
    """
    if count < 0:
        raise UserError(f"{card.name}: count={count}; wanted 0 or more")
    one = partial(_simulate, card, split, seed, resolution)
    indices = range(first, count)
    return map(one, indices) if pool is None else _pooled(one, indices, pool)


def _simulate(card: CorpusCard, split: Split, seed: int, resolution: int, index: int) -> Trajectory:
    return simulate(card, split=split, index=index, seed=seed, resolution=resolution)


def _pooled(one: "partial[Trajectory]", wanted: range, pool: Executor) -> Iterator[Trajectory]:
    """Results in order, a bounded number of trajectories ahead."""
    indices = iter(wanted)
    with _one_thread_for_children():  # the pool starts its processes at the first submissions
        running: deque[Future[Trajectory]] = deque(
            pool.submit(one, index) for index in islice(indices, AHEAD)
        )
    while running:
        trajectory = running.popleft().result()
        running.extend(pool.submit(one, index) for index in islice(indices, 1))
        yield trajectory


@contextmanager
def _one_thread_for_children() -> Iterator[None]:
    """Linear algebra libraries read these once, when a process first loads them."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
