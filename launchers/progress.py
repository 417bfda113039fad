"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

ItemT = TypeVar("ItemT")

_QUIET_S = 10.0  # between two plain lines, so that a job's log stays readable


def progress(
    items: Iterable[ItemT], *, total: int, label: str, unit: str = "it"
) -> Iterator[ItemT]:
    """Pass items on while telling stderr how far the work is and how long it will take.

    Args:
        items: what to pass on.
        total: how many will come.
        label: what the work is.
        unit: name of one item.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, unit=unit)
        return
    started = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == total or now - last >= _QUIET_S:
            last = now
            print(_line(label, unit, done, total, now - started), file=sys.stderr, flush=True)


def _line(label: str, unit: str, done: int, total: int, elapsed_s: float) -> str:
    line = f"{label}: {done}/{total} {unit} in {_duration(elapsed_s)}"
    if done < total:
        line += f", about {_duration(elapsed_s * (total - done) / done)} left"
    return line


def _duration(seconds: float) -> str:
    """Seconds as "12.3 s", "3 min 20 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
