"""What a run goes on without: bad samples and lost updates, counted up to a limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from foundation.train.health import Finding


@dataclass
class LeftOut:
    """Counts of this process; a resumed run counts anew.

    Attributes:
        most: of each kind, beyond which a run stops.
        samples: that were not learnt from.
        updates: whose gradient was not finite and was thrown away by DeepSpeed.
    """

    most: int
    samples: int = 0
    updates: int = 0

    def add_samples(self, faults: Sequence[str]) -> Finding:
        """Some more samples, as they are called; what to say of them."""
        self.samples += len(faults)
        left = f"{self.samples} of at most {self.most} since the start"
        line = f"left out, not learnt from: {', '.join(faults)}; {left}"
        return Finding("skipped_samples", self.samples, line)

    def add_update(self) -> Finding:
        """One more update; what to say of it."""
        self.updates += 1
        line = (
            "the gradient was not finite: DeepSpeed left the weights as they were, "
            f"{self.updates} times since the start"
        )
        return Finding("steps_without_update", self.updates, line)

    @property
    def too_many_samples(self) -> str | None:
        """A line if there are."""
        if self.samples <= self.most:
            return None
        return f"{self.samples} samples were left out, more than max_skipped={self.most}"

    @property
    def too_many_updates(self) -> str | None:
        """A line if there are."""
        if self.updates <= self.most:
            return None
        return f"{self.updates} gradients were not finite, more than max_skipped={self.most}"
