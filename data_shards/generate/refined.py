"""How accurate a simulation is: options of a solver in, options of a finer run out.

Each solver says beside its options which of them to multiply, and by what, for a
run whose own error is small beside that of the run to be judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from data_shards.config import Config

GRID = "solver_resolution"  # an option that is raised to the output's resolution where that is more


@dataclass(frozen=True)
class Refinement:
    """Factors of the options that bound a solver's error.

    Attributes:
        options: the solver's, with their defaults.
        factors: of the solver's grid, time step, tolerance, ...
    """

    options: type[Config]
    factors: Mapping[str, float]

    def judged(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The options that bound the error, defaults filled in.

        Args:
            values: options of a run, as a card gives them.
            where: whose options these are, for messages.

        Raises:
            UserError: the options are not this solver's.
        """
        return self.options.read(dict(values), where).model_dump(include=set(self.factors))

    def finer(self, judged: Mapping[str, Any], resolution: int) -> dict[str, Any]:
        """The same options of the finer run, whose output has `resolution` cells along x."""
        before = dict(judged)
        if GRID in before:  # the finer grid must be a multiple of the output's, too
            before[GRID] = resolution * ceil(before[GRID] / resolution)
        return {key: type(value)(value * self.factors[key]) for key, value in before.items()}
