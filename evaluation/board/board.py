"""A leaderboard as values: records in, rows, columns, ranks and factors out. Pure.

A column is one task on one set of shards with one number of samples; only
records that agree in all three stand in it, the others are set aside with the
reason. Ranks are among models; floors are shown, and give each model the factor
by which it beats the better of them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evaluation.records.record import ModelFacts, Record
from evaluation.tasks.task import Task

# Differences of this order are differences of summation order, not of skill.
TIE = 1e-9


@dataclass(frozen=True)
class Cell:
    """One model in one column.

    Attributes:
        record: what was measured.
        rank: 1 for the best model; equal values share a rank; None for a floor.
        factor: how many times better than the best floor; None for a floor, or without one.
    """

    record: Record
    rank: int | None
    factor: float | None

    @property
    def best(self) -> bool:
        return self.rank == 1


@dataclass(frozen=True)
class Column:
    """One task on one set of shards."""

    task: Task
    title: str  # the corpus, or the task where two tasks share a corpus
    shard_fingerprint: str
    num_samples: int
    has_floor: bool


@dataclass(frozen=True)
class Row:
    """One model or floor; `cells` by the name of the task.

    Attributes:
        label: its name, with a piece of its fingerprint where two share the name.
        facts: what is known of it.
        cells: by task name; a task it was not judged on is absent.
        mean_rank: over its cells; None for a floor.
        rank: 1 for the best mean rank; models judged on fewer tasks follow; None for a floor.
    """

    label: str
    facts: ModelFacts
    cells: dict[str, Cell]
    mean_rank: float | None
    rank: int | None = None


@dataclass(frozen=True)
class SetAside:
    """A record that the board does not show, and why."""

    record: Record
    reason: str


@dataclass(frozen=True)
class Board:
    """Rows in order of rank, floors last; columns in order of task name."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    set_aside: tuple[SetAside, ...]


def build_board(records: Sequence[Record]) -> Board:
    """Arrange records; the order in which they come does not matter."""
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=_order):
        by_task[record.task.name].append(record)
    shared = Counter(group[0].task.corpus for group in by_task.values())
    columns, cells, aside = [], [], []
    for name in sorted(by_task):
        kept, refused = _comparable(by_task[name])
        aside += refused
        title = kept[0].task.corpus if shared[kept[0].task.corpus] == 1 else name
        columns.append(_column(kept, title))
        cells += _rank(kept)
    return Board(tuple(columns), _rows(cells), tuple(aside))


def _order(record: Record) -> tuple[str, ...]:
    facts = record.model
    return (record.task.name, facts.name, facts.fingerprint, record.provenance.date)


def _key(record: Record) -> tuple[str, str, int]:
    """What must agree for two scores to be comparable."""
    return record.task_hash, record.data, record.num_samples


def _comparable(records: list[Record]) -> tuple[list[Record], list[SetAside]]:
    """The largest set of comparable records, newest per model, and what was left out."""
    sets: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in records:
        sets[_key(record)].append(record)

    def weight(key: tuple[str, str, int]) -> tuple[int, int, int, str]:
        models = {record.model.fingerprint for record in sets[key] if not record.model.floor}
        newest = max(record.provenance.date for record in sets[key])
        return len(models), len(sets[key]), key[2], newest

    chosen = max(sets, key=weight)
    newest: dict[tuple[str, str], Record] = {}
    aside = []
    for record in sets[chosen]:
        identity = (record.model.name, record.model.fingerprint)
        if identity in newest:
            aside.append(SetAside(newest[identity], "a newer record of the same model exists"))
        newest[identity] = record
    aside += [
        SetAside(record, _difference(record, sets[chosen][0]))
        for key, others in sets.items()
        if key != chosen
        for record in others
    ]
    return list(newest.values()), aside


def _difference(record: Record, kept: Record) -> str:
    task_hash, shards, samples = _key(kept)
    reasons = []
    if record.task_hash != task_hash:
        own, other = (f"{each.task_hash[:10]} (version {each.task.version})"
                      for each in (record, kept))  # fmt: skip
        reasons.append(f"task hash {own}, the column has {other}")
    if record.data != shards:
        came = record.data[:10]
        reasons.append(f"shards {came}, the column has {shards[:10]}")
    if record.num_samples != samples:
        reasons.append(f"{record.num_samples} samples, the column has {samples}")
    return "; ".join(reasons)


def _column(kept: list[Record], title: str) -> Column:
    first = kept[0]
    return Column(
        task=first.task,
        title=title,
        shard_fingerprint=first.provenance.shard_fingerprint,
        num_samples=first.num_samples,
        has_floor=any(record.model.floor for record in kept),
    )


def _loss(record: Record) -> float:
    """The headline turned so that less is better; a diverged forecast is worst either way."""
    value = record.headline.value
    return -value if record.task.higher_is_better and math.isfinite(value) else value


def _rank(kept: list[Record]) -> list[Cell]:
    models = [_loss(record) for record in kept if not record.model.floor]
    floors = [_loss(record) for record in kept if record.model.floor]
    cells = []
    for record in kept:
        if record.model.floor:
            cells.append(Cell(record, None, None))
            continue
        rank = 1 + sum(_beats(other, _loss(record)) for other in models)
        cells.append(Cell(record, rank, _factor(record, floors)))
    return cells


def _beats(loss: float, other: float) -> bool:
    return loss < other and not math.isclose(loss, other, rel_tol=TIE)


def _factor(record: Record, floors: list[float]) -> float | None:
    """How many times better than the best floor: 1 is no better, below 1 is worse."""
    if not floors:
        return None
    value, floor = record.headline.value, abs(min(floors))
    if math.isinf(value):
        return 0.0
    if math.isinf(floor):
        return math.inf
    better, worse = (floor, value) if record.task.higher_is_better else (value, floor)
    return math.inf if better == 0 else worse / better


def _lengths(models: Sequence[ModelFacts]) -> dict[str, str]:
    """By fingerprint, the steps of models that were trained for another time than most, as far as
    their records tell; of all models where no time is that of most."""
    told = {m.fingerprint: m.training_steps for m in models if m.training_steps is not None}
    common = Counter(told.values()).most_common(2)
    usual = common[0][0] if len(common) == 1 or (common and common[0][1] > common[1][1]) else None
    return {print_: f", {steps} steps" for print_, steps in told.items() if steps != usual}


def _rows(cells: Iterable[Cell]) -> tuple[Row, ...]:
    by_model: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        by_model[cell.record.model.name, cell.record.model.fingerprint].append(cell)
    names = Counter(name for name, _ in by_model)
    marks = _lengths([own[0].record.model for own in by_model.values()])
    rows = []
    for (name, fingerprint), own in by_model.items():
        label = name if names[name] == 1 else f"{name} ({fingerprint[:7]})"
        label += marks.get(fingerprint, "")
        ranks = [cell.rank for cell in own if cell.rank is not None]
        mean_rank = sum(ranks) / len(ranks) if ranks else None
        by_task = {cell.record.task.name: cell for cell in own}
        rows.append(Row(label, own[0].record.model, by_task, mean_rank))
    most = max(len(row.cells) for row in rows)

    def standing(row: Row) -> tuple[bool, bool, float]:
        # A model judged on fewer tasks stands below those judged on all.
        return row.facts.floor, len(row.cells) < most, row.mean_rank or 0.0

    ranked = [
        row
        if row.facts.floor
        else replace(row, rank=1 + sum(standing(other) < standing(row) for other in rows))
        for row in rows
    ]
    return tuple(sorted(ranked, key=lambda row: (standing(row), row.label)))
