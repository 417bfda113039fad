"""What a page says of its records: facts, made from recorded files.

A fact is a phrase of a page or a row of a table. Its words must stand there, line breaks aside, and
its numbers must be those of the records, rounded to the digits that the page gives. Numbers that
state no result are declared by `setup`. A study's facts lie beside its records, `facts.py`;
`docs/figures.py` holds all pages to them.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STUDIES = "evaluation/studies"
NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d*\.?\d+)(?:e[+-]?\d+)?"
Span = tuple[int, int]


@dataclass(frozen=True)
class Phrase:
    """Words of a page, line breaks aside.

    Attributes:
        words: with `#` for every number that follows from the records.
        values: of these numbers, one after the other.
    """

    words: str
    values: Sequence[float] = ()

    def fault(self, page: str) -> str | None:
        """What the page says otherwise; None if nothing."""
        return None if self.spans(page) else self._as_it_should_be()

    def spans(self, page: str) -> list[Span]:
        """Where the page says so, from character to character."""
        return [
            found.span()
            for found in self._pattern().finditer(page)
            if all(map(rounds_to, self.values, found.groups()))
        ]

    def _pattern(self) -> re.Pattern[str]:
        if self.words.count("#") != len(self.values):
            raise ValueError(f"{self.words!r} has another number of # than of values")
        words = r"\s+".join(re.escape(word) for word in self.words.split())
        numbers = words.replace(re.escape("#"), f"(-?{NUMBER})")
        return re.compile(rf"(?<![\w.]){numbers}(?!\w|[.,]\d)")

    def _as_it_should_be(self) -> str:
        *texts, last = " ".join(self.words.split()).split("#")
        values = (short(value, 5) for value in self.values)
        return "".join(f"{text}{value}" for text, value in zip(texts, values, strict=True)) + last


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
        cells = self._cells(page)
        if cells is None:
            return f"no row {self.label!r} in the table {self.table!r}"
        numbers = re.findall(rf"(?<![\w.])-?{NUMBER}", " ".join(text for text, _ in cells))
        if len(numbers) == len(self.values) and all(map(rounds_to, self.values, numbers)):
            return None
        return f"{self.table}, {self.label}: {[short(v, 5) for v in self.values]}, not {numbers}"

    def spans(self, page: str) -> list[Span]:
        """Where the page says so, from character to character."""
        return [span for _, span in self._cells(page) or ()] if not self.fault(page) else []

    def _cells(self, page: str) -> list[tuple[str, Span]] | None:
        """Cells of the row that hold its values, with their places."""
        inside, start = False, 0
        for line in page.splitlines(keepends=True):
            cells = cells_of(line)
            texts = [line[one:end].strip().replace("**", "") for one, end in cells]
            if not cells:
                inside = False
            elif texts[0] == self.table and self.among in (None, *texts):
                inside = True
            elif inside and texts[0] == self.label:
                columns = self.columns or range(1, len(cells))
                return [(texts[c], (start + cells[c][0], start + cells[c][1])) for c in columns]
            start += len(line)
        return None


def cells_of(line: str) -> list[Span]:
    """Cells of a line of a table, from character to character; none of any other line."""
    if not line.startswith("|"):
        return []
    bars = [place for place, character in enumerate(line) if character == "|"]
    return [(one + 1, end) for one, end in pairwise(bars)]


def rounds_to(value: float, text: str) -> bool:
    """Whether a number on a page is the value, rounded to the digits that it has."""
    text = text.replace(",", "")
    digits, _, exponent = text.partition("e")
    places = len(digits.partition(".")[2]) - int(exponent or 0)
    return abs(value - float(text)) <= 0.5000001 * 10.0**-places


Fact = Phrase | Row


@dataclass(frozen=True)
class PageFacts:
    """Facts of pages, which are named from the repository's root.

    Attributes:
        declared: they state no result, see `setup`.
    """

    pages: tuple[str, ...]
    facts: Callable[[], Iterator[Fact]]
    declared: bool = False


def on(*pages: str) -> Callable[[Callable[[], Iterator[Fact | str]]], PageFacts]:
    """What a function yields stands on these pages; text is a fact as it is."""

    def register(facts: Callable[[], Iterator[Fact | str]]) -> PageFacts:
        def all_of_them() -> Iterator[Fact]:
            for fact in facts():
                yield Phrase(fact) if isinstance(fact, str) else fact

        return PageFacts(pages, all_of_them)

    return register


def setup(page: str, *words: str) -> PageFacts:
    """What was chosen, or published by others: numbers that state no result, in these words."""
    return PageFacts((page,), lambda: map(Phrase, words), declared=True)


def record(name: str) -> Any:
    """A recorded file of the studies, as plain values.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return json.loads((ROOT / STUDIES / name).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is damaged ({error})") from None


def numbers_in(source: str) -> set[float]:
    """Numbers that a Python file names, such as the bounds that a test holds."""
    nodes = ast.walk(ast.parse((ROOT / source).read_text()))
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {float(value) for value in constants if isinstance(value, int | float)}


def geometric_mean(values: Iterable[float]) -> float:
    """Of errors over corpora, say."""
    found = list(values)
    return float(prod(found) ** (1 / len(found)))


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
    """A row as it stands on a page, word for word."""
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
