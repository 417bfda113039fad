"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from tqdm import tqdm

ItemT = TypeVar("ItemT")

_QUIET_S = 10.0  # between two plain lines, so that a job's log stays readable


def progress(
    items: Iterable[ItemT], *, total: int, label: str, unit: str = "it", done: int = 0
) -> Iterator[ItemT]:
    """Pass items on while telling stderr how far the work is and how long it will take.

    Args:
        items: what to pass on.
        total: how many will come, with those already done.
        label: what the work is.
        unit: name of one item.
        done: how many were done before.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, unit=f" {unit}", initial=done, leave=False)
        return
    started = last = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done + count == total or now - last >= _QUIET_S:
            last = now
            line = _line(label, unit, done + count, total, now - started, count)
            print(line, file=sys.stderr, flush=True)


def watch_runs(items: Iterable[ItemT], total: int, label: str) -> Iterator[ItemT]:
    """`progress` of the runs of an experiment."""
    return progress(items, total=total, label=label, unit="run")


def say(line: str) -> None:
    """One line to stderr, above the bars if there are any."""
    if sys.stderr.isatty():
        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


class Overall:
    """Progress over several pieces of work that each show their own."""

    def __init__(self, label: str, total: int, unit: str = "it", bar: bool = True) -> None:
        """Nothing is done yet.

        Args:
            label: what the work is as a whole.
            total: items over all pieces.
            unit: name of one item.
            bar: whether a terminal shows one, below that of the piece.
        """
        self._label, self._total, self._unit = label, total, unit
        self._done = self._made = 0
        self._started = time.monotonic()
        self._bar = tqdm(
            total=total,
            desc=label,
            unit=f" {unit}",
            position=1,
            leave=False,
            disable=not (bar and sys.stderr.isatty()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def watch(self, items: Iterable[ItemT], done: int = 0) -> Iterator[ItemT]:
        """Pass the items of one piece on and count them; `done` of it were done before."""
        self._done += done
        self._bar.update(done)
        for item in items:
            self._done += 1
            self._made += 1
            self._bar.update()
            yield item

    def line(self) -> str:
        """How far the whole is, in words."""
        elapsed_s = time.monotonic() - self._started
        return _line(self._label, self._unit, self._done, self._total, elapsed_s, self._made)


def _line(label: str, unit: str, done: int, total: int, elapsed_s: float, made: int) -> str:
    """`made` of those done took the time that has elapsed."""
    line = f"{label}: {done}/{total} {unit} in {_duration(elapsed_s)}"
    if done < total and made:
        line += f", about {_duration(elapsed_s * (total - done) / made)} left"
    return line


def _duration(seconds: float) -> str:
    """Seconds as "12.3 s", "3 min 20 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
