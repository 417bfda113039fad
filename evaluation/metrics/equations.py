"""What the equation of a corpus demands of its solutions: a card in, laws out.

The table is `equations.yaml`; a task can name laws of its own for a corpus of its own.
"""

from functools import cache
from importlib.resources import files

import yaml
from pydantic import Field

from data_shards.card import CorpusCard, Side
from data_shards.config import Config

_NO_SIDES = ("periodic", "uniform")


class Laws(Config):
    """Laws of one equation."""

    sides: tuple[Side, ...] = ()  # under which the conserved quantities are so
    conserved: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    solenoidal: tuple[str, str] | None = None


@cache
def _table() -> dict[str, Laws]:
    path = files("evaluation") / "metrics" / "equations.yaml"
    values = yaml.safe_load(path.read_text())
    return {pde: Laws.read(laws, f"{path}: {pde}") for pde, laws in values.items()}


def conserved(card: CorpusCard) -> dict[str, tuple[str, ...]]:
    """Quantity -> densities, of what the corpus conserves; empty where nothing is known."""
    laws = _table().get(card.pde)
    if laws is None or card.boundary is None:
        return {}
    return dict(laws.conserved) if set(card.boundary.values()) <= set(laws.sides) else {}


def solenoidal(card: CorpusCard) -> tuple[str, str] | None:
    """The channels of a velocity without divergence in a plane, if the corpus has one."""
    laws = _table().get(card.pde)
    return laws.solenoidal if laws is not None and not card.is_box else None


def sides(card: CorpusCard) -> tuple[str, ...]:
    """Sides of the domain at which something is imposed; all four where they differ."""
    four = ("left", "right", "bottom", "top")
    if card.boundary is None:
        return four
    return tuple(side for side in four if card.boundary.get(side, "uniform") not in _NO_SIDES)
