"""Shift curves: records in, error against the distance from the training data out. Pure.

A ladder leads one parameter away from its trained values, rung by rung; a record on
a rung's corpus is one point of its model's curve. Floors are no curves of their own:
every point carries the best floor of its rung, judged on the same terms.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from data_shards.card import Shift
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from evaluation.records.record import Record


@dataclass(frozen=True)
class ShiftPoint:
    """One model on one rung.

    Attributes:
        value: of the ladder's parameter, in its unit.
        distance: from the nearest trained value; decades on a log ladder.
        error: the headline.
        standard_error: of the headline; None for a single sample.
        floor: headline of the best floor on the same terms; None if none was judged.
        along: parameter and headline of groups of the samples, where the rung is a range.
    """

    value: float
    distance: float
    error: float
    standard_error: float | None
    floor: float | None
    along: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class ShiftCurve:
    """One model along one ladder.

    Attributes:
        model: its name.
        fingerprint: of its weights, which tells models of one name apart.
        headline: the metric.
        points: by growing value of the parameter.
    """

    model: str
    fingerprint: str
    headline: str
    points: tuple[ShiftPoint, ...]


ShiftOf = Callable[[str], Shift | None]
_Terms = tuple[str, str, int]


def shift_of(corpus: str) -> Shift | None:
    """Where a corpus stands on a ladder; None for one that stands on none or is unknown here."""
    try:
        return load_card(corpus).shift
    except UserError:
        return None


def shift_curves(
    records: Iterable[Record], place: ShiftOf = shift_of
) -> dict[str, tuple[ShiftCurve, ...]]:
    """Curves of every model along every ladder it was judged on.

    Args:
        records: in any order; those on corpora of no ladder are passed over, of several on the
            same rung, model and metric the newest counts.
        place: where a corpus stands.

    Returns:
        Ladder -> curves, sorted by name; the order of the records does not matter.
    """
    on_rungs = [(shift, r) for r in records if (shift := place(r.task.corpus)) is not None]
    on_rungs.sort(key=lambda pair: pair[1].provenance.date)
    floors = _floors([record for _, record in on_rungs])
    points: dict[tuple[str, str, str, str], dict[float, ShiftPoint]] = defaultdict(dict)
    for shift, record in on_rungs:
        if not record.model.floor:
            model = record.model
            curve = (shift.ladder, model.name, model.fingerprint, record.task.headline)
            points[curve][shift.value] = _point(shift, record, floors)
    curves: dict[str, list[ShiftCurve]] = defaultdict(list)
    for (ladder, name, fingerprint, headline), by_value in sorted(points.items()):
        ordered = tuple(by_value[value] for value in sorted(by_value))
        curves[ladder].append(ShiftCurve(name, fingerprint, headline, ordered))
    return {ladder: tuple(found) for ladder, found in curves.items()}


def _terms(record: Record) -> _Terms:
    return record.task_hash, record.data, record.num_samples


def _floors(records: Sequence[Record]) -> dict[_Terms, float]:
    """The best floor's headline on every terms that a floor was judged on."""
    values: dict[_Terms, list[Record]] = defaultdict(list)
    for record in records:
        if record.model.floor:
            values[_terms(record)].append(record)
    better = {True: max, False: min}
    return {
        terms: better[found[0].task.higher_is_better](record.headline.value for record in found)
        for terms, found in values.items()
    }


def _point(shift: Shift, record: Record, floors: dict[_Terms, float]) -> ShiftPoint:
    along = record.along
    return ShiftPoint(
        value=shift.value,
        distance=shift.distance,
        error=record.headline.value,
        standard_error=record.headline.standard_error,
        floor=floors.get(_terms(record)),
        along=() if along is None else tuple(zip(along.values, along.errors, strict=True)),
    )
