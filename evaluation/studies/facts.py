"""What a page says of its records: facts, made from recorded files.

A fact is a piece of a page with as many digits as the page has, which must stand there word for
word, line breaks aside. Or it is the row of a table, whose numbers must be those of the records,
rounded to the digits that the page gives. A study's facts lie beside its records, `facts.py`; all
are held to their pages by `docs/figures.py`.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STUDIES = "evaluation/studies"


@dataclass(frozen=True)
class Row:
    """A row of a table: by the table's first header cell, and its own first cell.

    Attributes:
        table, label: as they stand on the page, without bold type.
        values: of the numbers of the row, one after the other.
        columns: that hold them; all after the first by default.
        among: another header cell, where several tables begin alike.
    """

    table: str
    label: str
    values: Sequence[float]
    columns: Sequence[int] = ()
    among: str | None = None

    def fault(self, page: str) -> str | None:
        """What the page says otherwise; None if nothing."""
        cells = self._cells(page.replace("**", ""))
        if cells is None:
            return f"no row {self.label!r} in the table {self.table!r}"
        told = [cells[column] for column in self.columns] or cells[1:]
        text = re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(told))
        numbers = re.findall(r"-?\d*\.?\d+(?:e[+-]?\d+)?", text)
        agree = len(numbers) == len(self.values) and all(map(_rounds_to, self.values, numbers))
        if agree:
            return None
        return f"{self.table}, {self.label}: {[short(v, 5) for v in self.values]}, not {numbers}"

    def _cells(self, page: str) -> list[str] | None:
        inside = False
        for line in page.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                inside = False
            elif cells[0] == self.table and self.among in (None, *cells):
                inside = True
            elif inside and cells[0] == self.label:
                return cells
        return None


def _rounds_to(value: float, text: str) -> bool:
    digits, _, exponent = text.partition("e")
    places = len(digits.partition(".")[2]) - int(exponent or 0)
    return abs(value - float(text)) <= 0.5000001 * 10.0**-places


Fact = str | Row


@dataclass(frozen=True)
class Told:
    """Facts of pages, which are named from the repository's root."""

    pages: tuple[str, ...]
    facts: Callable[[], Iterator[Fact]]


def on(*pages: str) -> Callable[[Callable[[], Iterator[Fact]]], Told]:
    """What a function yields stands on these pages."""
    return lambda facts: Told(pages, facts)


def record(name: str) -> Any:
    """A recorded file of the studies, as plain values."""
    return json.loads((ROOT / STUDIES / name).read_text())


def short(value: float, digits: int = 3) -> str:
    """A number as pages write it: `digits` significant ones, no zero before the point."""
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - _exponent(rounded))
    text = f"{rounded:.{places}f}"
    return text.removeprefix("0") if abs(rounded) < 1 else text


def fixed(value: float, places: int = 3) -> str:
    """A number with so many places, no zero before the point."""
    text = f"{value:.{places}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2]) if value else 0


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def standings_of(study: str) -> dict[tuple[str, str], Any]:
    """Models of a study by name and mixture."""
    found = record(study)["standings"]
    return {(one["model"], one["mixture"]): one for one in found}


def wins_of(study: str, model: str, other: str, mixture: str = "mixture_6") -> Any:
    """How often one model of a study was better than another."""
    return next(
        one
        for one in record(study)["wins"]
        if (one["model"], one["other"], one["mixture"]) == (model, other, mixture)
    )
