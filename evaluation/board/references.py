"""Published figures of others: columns of a board in, what their papers say of the same tasks out.

They were read in the sources that are named, on the day that is named, and not measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field, TypeAdapter

from data_shards.config import Config, read_yaml
from evaluation.board.board import Column
from evaluation.metrics.names import MetricName
from evaluation.records.table import metric_title

REFERENCES_TITLE = "Published, not run here"
_FILE = Path(__file__).with_name("references.yaml")


class Source(Config):
    """One place where figures were published."""

    source: str
    dated: str = Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")  # of what was read
    terms: str  # in what they differ from the task's
    # Task -> metric -> model -> figure, with the digits that it has there; ">10" is one.
    tasks: dict[str, dict[MetricName, dict[str, str]]] = Field(min_length=1)


@dataclass(frozen=True)
class References:
    """A table of published figures.

    Attributes:
        titles: of the columns, the first one that of the models.
        rows: a model's name and a cell per column; "–" where nothing was published.
        lead: where they are from.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lead: str


@cache
def sources() -> tuple[Source, ...]:
    """All that are known here."""
    return tuple(TypeAdapter(tuple[Source, ...]).validate_python(read_yaml(_FILE)))


def references_on(columns: Sequence[Column]) -> References | None:
    """Published figures on the tasks of some columns; None where there are none."""
    titles = {column.task.name: column.title for column in columns}
    told = [each for each in sources() if set(each.tasks) & set(titles)]
    keys = [
        (task, metric)
        for task in titles
        for metric in dict.fromkeys(m for each in told for m in each.tasks.get(task, {}))
    ]
    if not keys:
        return None
    figures: dict[str, dict[tuple[str, MetricName], str]] = {}
    for each in told:
        for task, metric in keys:
            for model, figure in each.tasks.get(task, {}).get(metric, {}).items():
                figures.setdefault(model, {})[task, metric] = figure
    rows = tuple((model, *(own.get(key, "–") for key in keys)) for model, own in figures.items())
    heads = (f"{metric_title(metric)} {titles[task]}" for task, metric in keys)
    lines = (f"{each.source}, as of {each.dated}: {each.terms}." for each in told)
    lead = " ".join(("Figures of their authors, not ranked and not compared.", *lines))
    return References(("Model", *heads), rows, lead)
