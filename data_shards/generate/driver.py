"""Many trajectories of one split, in index order, by a pool of processes.

Each worker is single-threaded, so workers = cores is the right choice. The
result does not depend on the number of workers.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context

from data_shards.cards import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.generate.simulation import simulate
from data_shards.trajectory import Trajectory

AHEAD = 4  # trajectories in flight per worker: enough to keep it busy, few enough for memory
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def generate_corpus(
    card: CorpusCard, *, split: Split, count: int, resolution: int, seed: int, workers: int
) -> Iterator[Trajectory]:
    """Trajectories 0 ... count - 1 of a split, in this order.

    Args:
        card: which corpus.
        split: train, validation or test.
        count: how many.
        resolution: output cells per side.
        seed: of the whole corpus.
        workers: processes; 1 simulates in this one.

    Raises:
        UserError: workers or count are out of range, or a worker died.
        SimulationError: a trajectory is not fit for the corpus; nothing is skipped.
    """
    if workers < 1 or count < 0:
        raise UserError(f"{card.name}: workers={workers}, count={count}; wanted >= 1 and >= 0")
    one = partial(_simulate, card, split, seed, resolution)
    if workers == 1:
        return map(one, range(count))
    return _pooled(one, count, workers)


def _simulate(card: CorpusCard, split: Split, seed: int, resolution: int, index: int) -> Trajectory:
    return simulate(card, split=split, index=index, seed=seed, resolution=resolution)


def _pooled(one: "partial[Trajectory]", count: int, workers: int) -> Iterator[Trajectory]:
    # Spawned, not forked: a fork of a process that has run torch or numba threads may hang.
    pool = ProcessPoolExecutor(min(workers, max(count, 1)), get_context("spawn"))
    try:
        indices = iter(range(count))
        with _one_thread_for_children():
            running: deque[Future[Trajectory]] = deque(
                pool.submit(one, index) for index in islice(indices, AHEAD * workers)
            )
        while running:
            trajectory = running.popleft().result()
            running.extend(pool.submit(one, index) for index in islice(indices, 1))
            yield trajectory
    except BrokenProcessPool:
        raise UserError(
            f"a worker process died, most likely for lack of memory; use fewer than {workers} "
            "workers or a lower resolution"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


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
