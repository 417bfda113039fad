"""Many trajectories of one split or of several in turn, in order, by a pool of processes.

Each worker is single-threaded, so workers = cores is the right choice. The
result does not depend on the number of workers. While the last trajectories of
a split are on their way, idle workers begin the next one.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.generate.simulation import simulate
from data_shards.memory import keep_freed_memory
from data_shards.trajectory import Trajectory

# Trajectories in flight: enough to keep the workers of one machine busy, few enough for memory.
AHEAD = 4 * (os.cpu_count() or 1)
_Place = tuple[int, int]  # number of a series, index in it

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
        keep_freed_memory()
        yield None
        return
    # Spawned, not forked: a fork of a process that has run torch or numba threads may hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_prepare_worker)
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            f"a worker process died, most likely for lack of memory; use fewer than {workers} "
            "workers or a lower resolution"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Keep the memory that fields free, and end when the parent does: killed, it cannot tell."""
    keep_freed_memory()
    parent = parent_process()
    if parent is not None:
        watch = partial(_outlive, parent)
        Thread(target=watch, name="parent's end", daemon=True).start()


def _outlive(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@dataclass(frozen=True)
class Series:
    """Trajectories 0 ... count - 1 of one split, each made by its number alone.

    Attributes:
        make: number in, trajectory out; goes to other processes, so a plain function or partial.
        count: how many there are.
    """

    make: Callable[[int], Trajectory]
    count: int


def simulations(
    card: CorpusCard, *, split: Split, count: int, resolution: int, seed: int
) -> Series:
    """The trajectories of a split, not yet simulated.

    Args:
        card: which corpus, with the options of its solver.
        split: train, validation or test.
        count: how many the split has.
        resolution: output cells along x.
        seed: of the whole corpus.

    Raises:
        UserError: the count is negative.
    """
    if count < 0:
        raise UserError(f"{card.name}: count={count}; wanted 0 or more")
    return Series(partial(_simulate, card, split, seed, resolution), count)


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
    """Trajectories first ... count - 1 of a split, in this order; see `simulations`.

    Args:
        pool: of `worker_pool`; None simulates in this process.
        first: where to begin, to go on after a stop.

    Raises:
        UserError: the count is negative.
        SimulationError: a trajectory is not fit for the corpus; nothing is skipped.
    """
    series = simulations(card, split=split, count=count, resolution=resolution, seed=seed)
    return InTurn([series], pool).trajectories(0, first)


class InTurn:
    """Several series by one pool, which is never idle between them."""

    def __init__(self, series: Sequence[Series], pool: Executor | None) -> None:
        """Nothing is submitted yet.

        Args:
            series: in the order in which they will be asked for.
            pool: of `worker_pool`; None makes every trajectory in this process, when asked for.
        """
        self._series = tuple(series)
        self._pool = pool
        self._first = [0] * len(self._series)  # where each begins; 0 until it is asked for
        self._places = self._upcoming()
        self._running: deque[tuple[_Place, Future[Trajectory]]] = deque()

    def trajectories(self, number: int, first: int = 0) -> Iterator[Trajectory]:
        """Trajectories first, first + 1, ... of one series; ask for the series in their order."""
        series = self._series[number]
        if self._pool is None:
            yield from map(series.make, range(first, series.count))
            return
        self._first[number] = first
        for index in range(first, series.count):
            future = self._future((number, index), self._pool)
            yield future.result()

    def _future(self, place: _Place, pool: Executor) -> Future[Trajectory]:
        """The trajectory at a place, and the workers kept busy with what comes after it."""
        self._fill(pool)
        came, future = self._running.popleft()
        while came < place:  # begun ahead, before it was known that a stopped run had made it
            future.cancel()
            self._fill(pool)
            came, future = self._running.popleft()
        self._fill(pool)
        return future

    def _fill(self, pool: Executor) -> None:
        missing = AHEAD - len(self._running)
        with _one_thread_for_children():  # the pool may start a process at any submission
            for number, index in islice(self._places, missing):
                future = pool.submit(self._series[number].make, index)
                self._running.append(((number, index), future))

    def _upcoming(self) -> Iterator[_Place]:
        for number, series in enumerate(self._series):
            for index in range(series.count):
                if index >= self._first[number]:
                    yield number, index


def _simulate(card: CorpusCard, split: Split, seed: int, resolution: int, index: int) -> Trajectory:
    return simulate(card, split=split, index=index, seed=seed, resolution=resolution)


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
