"""One-cycle learning rate: a step in, the rate out; nothing is stored.

Source: the paper trains with torch's OneCycleLR (cosine, two phases); this is
its closed form, so that a resumed run needs no scheduler state.
"""

from math import cos, pi

from pydantic import Field, PositiveFloat

from data_shards.config import Config


class OneCycle(Config):
    """Rise from `peak / div` to the peak, then fall to `peak / div / final_div`."""

    warmup_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    div: PositiveFloat = 1e4
    final_div: PositiveFloat = 1e4

    def at(self, step: int, steps: int, peak: float) -> float:
        """Learning rate of optimiser step number `step` of `steps`, counted from 0.

        Args:
            step: 0 .. steps - 1.
            steps: of the whole run.
            peak: highest rate.
        """
        start, end = peak / self.div, peak / self.div / self.final_div
        top = self.warmup_fraction * steps - 1
        if step <= top:
            return _cosine(start, peak, step / top if top > 0 else 1.0)
        return _cosine(peak, end, (step - top) / max(steps - 1 - top, 1e-9))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2 * (1 + cos(pi * min(max(fraction, 0.0), 1.0)))
