"""Faults of processes: a drill's seed and a trial's number in, what is done to whom out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["KILL", "TERM", "STOP"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Fault:
    """What is done to whom, and when."""

    kind: Kind
    target: str  # "rank 0", "runner" (`deepspeed`), "launcher" (which it starts, and the ranks)
    after_s: float  # of the start

    @classmethod
    def drawn(
        cls, seed: int, trial: int, ranks: int, duration_s: float, kinds: Sequence[Kind] = KINDS
    ) -> "Fault":
        """That of a trial."""
        drawn = random.Random(f"{seed}/{trial}")
        kind = drawn.choice(kinds)
        targets = [f"rank {rank}" for rank in range(ranks)]
        # A launcher that is stopped only waits; one rank has none.
        if kind != "STOP" and ranks > 1:
            targets += ["runner", "launcher"]
        return cls(kind, drawn.choice(targets), drawn.uniform(0, duration_s))
