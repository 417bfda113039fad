"""Ratios of two ways to do one thing: rounds taken in turns, medians of their ratios.

Machines are shared and noisy: seconds of one day say little, and a ratio says much only if
both ways met the same neighbours. Hence every round runs each way once, and what is
reported is the median over rounds of the ratio within a round.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

Way = Callable[[], object]
Ways = Mapping[str, Way]


@dataclass(frozen=True)
class Goal:
    """What a ratio is wanted to be.

    Attributes:
        bound: least or most.
        at_least: whether more is better.
    """

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One figure of the bench.

    Attributes:
        name: what is measured, with its condition.
        value: dimensionless unless the name has a unit.
        goal: what it is wanted to be; None if it is only told.
        rounds: the value round by round, from which it is the median; empty if counted.
    """

    name: str
    value: float
    goal: Goal | None = None
    rounds: tuple[float, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Values for a JSON file."""
        verdict = None if self.goal is None else self.goal.met(self.value)
        return asdict(self) | {"met": verdict}


def at_least(bound: float) -> Goal:
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_least=False)


def in_turns(ways: Ways, rounds: int, device: torch.device | None = None) -> dict[str, list[float]]:
    """Seconds of each way, round by round; of two calls in a row the second counts.

    The first finds caches and freed memory as the other way left them, which no run does.

    Args:
        ways: by name.
        rounds: at least 1.
        device: whose clock counts, if it works on its own.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            way()
            seconds[name].append(seconds_of(way, device))
    return seconds


def seconds_of(way: Way, device: torch.device | None = None) -> float:
    """Of one call: by the clock on a CPU, by the device's own between two marks on a GPU."""
    if device is None or device.type != "cuda":
        began = time.perf_counter()
        way()
        return time.perf_counter() - began
    began_at: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    ended_at: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    began_at.record()
    way()
    ended_at.record()
    ended_at.synchronize()
    return float(began_at.elapsed_time(ended_at)) / 1e3


def ratio(
    name: str, over: list[float], under: list[float], goal: Goal | None = None, scale: float = 1.0
) -> Figure:
    """Median over rounds of `scale * over / under`."""
    rounds = tuple(scale * a / b for a, b in zip(over, under, strict=True))
    return Figure(name, statistics.median(rounds), goal, rounds)
