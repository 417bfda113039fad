"""Runs in, their results out: what is done is kept, the rest is trained and judged.

A plan, such as a study or a sweep, says which runs there are, where their results lie, how a run
is trained and how it is judged. A run is what its identity says; whoever has the identity has the
result. Trainings are several at a time, in processes that the plan's trainer keeps; judging is
here, one at a time, so that with every result on disk a stop costs nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Run(Protocol):
    """One training, and what decides it."""

    @property
    def name(self) -> str:
        """Of its training folder and of its records."""

    @property
    def identity(self) -> str:
        """sha256 of all that decides its result."""


RunT = TypeVar("RunT", bound=Run)
ResultT = TypeVar("ResultT")
RunT_contra = TypeVar("RunT_contra", contravariant=True)
ItemT = TypeVar("ItemT")


class Trainer(Protocol[RunT_contra]):
    """Trains runs in folders, several at a time."""

    @property
    def jobs(self) -> int:
        """Runs at a time."""

    @property
    def engine(self) -> Mapping[str, Any]:
        """Plain values of how it trains, as far as that decides what a run becomes."""

    def __call__(self, run: RunT_contra, folder: Path) -> Path:
        """Train in a folder, going on with what lies there; gives the checkpoint folder."""

    def stop(self) -> None:
        """Ask all runs at work to save and leave, and begin no other."""


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: checkpoint folder.
        seconds: it took; of a run that was cut short, since it went on.
    """

    model: Path
    seconds: float


def training_folder(output: Path, run: Run) -> Path:
    """Where a run is trained, below the folder of its experiment."""
    return output / "runs" / run.name


def without_progress(items: Iterable[ItemT], total: int, label: str) -> Iterable[ItemT]:
    """Shows nothing of how far the work is: the default where a `watch` is asked for."""
    return items


def run_all(
    runs: Iterable[RunT],
    done: Mapping[str, ResultT],
    train: Callable[[RunT], Path],
    judge: Callable[[RunT, Trained], ResultT],
    *,
    jobs: int = 1,
    stop: Callable[[], object] = lambda: None,
) -> Iterator[tuple[RunT, ResultT]]:
    """Every run with its result, as they come; in the order of the runs if one job trains them.

    The first failure ends all: nothing further is begun, runs at work are asked to stop, and what
    is done stays done. So does an interruption, and a caller who wants no more.

    Args:
        runs: to do, in this order.
        done: results that are there already, by identity.
        train: gives the checkpoint folder; called in threads.
        judge: makes a result of it and puts it where `done` will find it; called here.
        jobs: trainings at a time.
        stop: asks the trainings at work to save and leave.
    """
    running: dict[Future[Trained], RunT] = {}
    pool = ThreadPoolExecutor(jobs)
    try:
        for run in runs:
            if run.identity in done:
                yield run, done[run.identity]
                continue
            running[pool.submit(_timed, train, run)] = run
            if len(running) == jobs:
                yield from _finished(running, judge)
        while running:
            yield from _finished(running, judge)
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _timed(train: Callable[[RunT], Path], run: RunT) -> Trained:
    began = time.perf_counter()
    return Trained(train(run), time.perf_counter() - began)


def _finished(
    running: dict[Future[Trained], RunT], judge: Callable[[RunT, Trained], ResultT]
) -> Iterator[tuple[RunT, ResultT]]:
    """Those that end next, judged; a failure comes when the others are on disk."""
    ended = wait(running, return_when=FIRST_COMPLETED).done
    for future in sorted(ended, key=lambda each: each.exception() is not None):
        run = running.pop(future)
        yield run, judge(run, future.result())
