"""Health of a run: losses and loads of experts in, what a person should look at out.

Axes: L blocks, E routed experts.
Nothing here changes a weight. A fault is told when it begins, and again only after
it was gone; a resumed run looks anew.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from data_shards.config import Config, later


class HealthConfig(Config):
    """What is worth a word."""

    spike: PositiveFloat = 10.0  # a loss this many times its lowest level so far
    window: PositiveInt = 20  # steps whose median is a level
    on_spike: Literal["tell", "stop"] = later("tell")  # stop: as a loss that is not finite does
    # Of a block, experts that get less than a hundredth of an equal share; told from here on.
    dead_experts: float = Field(default=0.25, gt=0.0, le=1.0)
    samples: PositiveInt = 20  # per expert of a block, that a verdict on them takes
    relative_error: PositiveFloat = 100.0  # of a corpus


class Finding(NamedTuple):
    """One thing to look at: its kind, how much of it, and the same for people."""

    what: str
    value: float
    line: str


_DEAD = 0.01  # of an equal share


class Health:
    """What is wrong with a run as far as its numbers tell."""

    def __init__(self, config: HealthConfig) -> None:
        """Look from now on."""
        self._config = config
        self._recent: deque[float] = deque(maxlen=config.window)
        self._lowest = float("inf")
        self._told: set[str] = set()  # faults that go on
        self._loads_LE: list[NDArray[np.float64]] = []  # each times its samples
        self._samples = 0

    def of_loss(self, loss: float) -> list[Finding]:
        """After every step. Of a loss that falls below zero, as an energy, nothing is said."""
        high = loss > self._config.spike * self._lowest > 0
        times = loss / self._lowest if high else 0.0
        line = f"the loss is {loss:.3g}, {times:.3g} times its lowest level of {self._lowest:.3g}"
        self._recent.append(loss)
        if len(self._recent) == self._config.window:
            self._lowest = min(self._lowest, median(self._recent))
        return self._begun("loss_spike", "loss_spike", high, times, line)

    def of_corpora(self, errors: Mapping[str, float]) -> list[Finding]:
        """Relative errors by corpus, as they are logged."""
        found = []
        for corpus, error in errors.items():
            line = (
                f"{corpus}: a relative error of {error:.3g}: its fields are at rest or nearly so, "
                "or nothing is learnt"
            )
            large = error > self._config.relative_error
            found += self._begun("relative_error", corpus, large, error, line)
        return found

    def of_experts(self, loads_LE: Sequence[Sequence[float]], samples: int) -> list[Finding]:
        """Shares of routes by block, each summing to one, over samples since they were last told.

        Args:
            loads_LE: (L, E).
            samples: that they are of.
        """
        if not loads_LE:
            return []
        self._loads_LE.append(samples * np.asarray(loads_LE, float))
        self._samples += samples
        experts = len(loads_LE[0])
        if self._samples < self._config.samples * experts:
            return []
        shares_LE = np.sum(self._loads_LE, axis=0) / self._samples
        self._loads_LE, self._samples = [], 0
        found = []
        for block, dead in enumerate((shares_LE * experts < _DEAD).sum(1).tolist()):
            line = (
                f"block {block}: {dead} of {experts} experts get next to no sample; raise "
                "loss.balance_weight, or take fewer experts"
            )
            many = dead >= self._config.dead_experts * experts
            found += self._begun("dead_experts", f"block {block}", many, dead, line)
        return found

    def _begun(self, what: str, where: str, wrong: bool, value: float, line: str) -> list[Finding]:
        """The finding, if its fault has just begun."""
        if not wrong:
            self._told.discard(where)
            return []
        if where in self._told:
            return []
        self._told.add(where)
        return [Finding(what, value, line)]
