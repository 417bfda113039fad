"""Laws of shift curves: a pure function of the records, and drawings that stand alone."""

import itertools
import math
import xml.etree.ElementTree as ET

import pytest

from data_shards.catalogue import load_ladder
from evaluation.board.resonances import resonance_panels
from evaluation.board.shift import ShiftCurve, shift_curves, shift_of
from evaluation.board.shift_plot import draw_shift
from evaluation.records.record import Along, Machine, ModelFacts, Provenance, Record, Score
from evaluation.tasks.task import Task, load_tasks

TASKS = load_tasks()
LADDER = "ns_viscosity"
RUNGS = load_ladder(LADDER).rung_names()


def _record(
    name: str,
    corpus: str,
    value: float,
    *,
    floor: bool = False,
    samples: int = 8,
    date: str = "2026-01-01T00:00:00+00:00",
    task: Task | None = None,
) -> Record:
    task = task or TASKS.get(f"shift_{corpus}") or TASKS[f"zero_shot_{corpus}"]
    return Record(
        model=ModelFacts(
            name=name,
            model_type="moe_pot",
            source=name,
            floor=floor,
            fingerprint=name.ljust(64, "0"),
            config_hash="c" * 64,
        ),
        task=task,
        task_hash=task.hash,
        scores={task.headline: Score(value=value, standard_error=0.01)},
        error_per_frame=(value,),
        num_samples=samples,
        num_available=8,
        num_non_finite=0,
        seconds=1.5,
        provenance=Provenance(
            date=date,
            git_commit="0123456789abcdef",
            machine=Machine(cpu="CPU", cores=2, device="cpu", torch="2"),
            shard_fingerprint="5" * 64,
            resolution=64,
            stride=1,
            batch_size=8,
        ),
    )


def _only(records: list[Record]) -> ShiftCurve:
    (curve,) = shift_curves(records)[LADDER]
    return curve


def test_a_curve_runs_along_the_ladder_with_the_distances_of_its_rungs() -> None:
    ladder = load_ladder(LADDER)
    records = [_record("a", corpus, 0.1 + i) for i, corpus in enumerate(reversed(RUNGS))]
    curve = _only(records)
    values = sorted(rung.value for rung in ladder.rungs)
    assert [point.value for point in curve.points] == values
    assert [point.distance for point in curve.points] == [ladder.distance(v) for v in values]
    assert min(point.distance for point in curve.points) == 0.0
    errors = {point.value: point.error for point in curve.points}
    assert errors[load_ladder(LADDER).rungs[-1].value] == 0.1
    assert {point.standard_error for point in curve.points} == {0.01}


def test_every_point_carries_the_better_floor_of_its_rung() -> None:
    records = [
        _record("a", RUNGS[0], 0.1),
        _record("a", RUNGS[1], 0.2),
        _record("persistence", RUNGS[0], 0.5, floor=True),
        _record("context_mean", RUNGS[0], 0.4, floor=True),
    ]
    floors = {point.error: point.floor for point in _only(records).points}
    assert floors == {0.1: 0.4, 0.2: None}


def test_a_floor_of_other_terms_is_no_floor_of_this_point() -> None:
    records = [
        _record("a", RUNGS[0], 0.1),
        _record("persistence", RUNGS[0], 0.5, floor=True, samples=4),
    ]
    assert _only(records).points[0].floor is None


def test_where_higher_is_better_the_better_floor_is_the_higher() -> None:
    update = {"headline": "valid_frames", "higher_is_better": True}
    task = TASKS[f"shift_{RUNGS[0]}"].model_copy(update=update)
    records = [
        _record("a", RUNGS[0], 9, task=task),
        _record("persistence", RUNGS[0], 2, task=task, floor=True),
        _record("context_mean", RUNGS[0], 3, task=task, floor=True),
    ]
    assert _only(records).points[0].floor == 3
    assert _only(records).headline == "valid_frames"


def test_records_of_no_ladder_give_no_curve() -> None:
    foreign = TASKS["zero_shot_cfdbench"].model_copy(update={"corpus": "airfoil"})
    records = [_record("a", "cfdbench", 0.1), _record("a", "airfoil", 0.1, task=foreign)]
    assert shift_curves(records) == {}
    assert shift_of("airfoil") is None


def test_the_newest_record_of_a_rung_counts() -> None:
    old = _record("a", RUNGS[0], 0.5)
    new = _record("a", RUNGS[0], 0.1, date="2026-02-01T00:00:00+00:00")
    assert [point.error for point in _only([new, old]).points] == [0.1]


def test_order_of_records_does_not_matter_and_models_are_apart() -> None:
    records = [
        _record("b", RUNGS[0], 0.3),
        _record("a", RUNGS[1], 0.2),
        _record("a", RUNGS[0], 0.1),
        _record("persistence", RUNGS[0], 0.5, floor=True),
    ]
    found = [shift_curves(order) for order in itertools.permutations(records)]
    assert all(curves == found[0] for curves in found)
    assert [curve.model for curve in found[0][LADDER]] == ["a", "b"]


@pytest.mark.parametrize("ladder", [LADDER, "swe_radius"])
def test_a_drawing_is_one_whole_element_and_the_same_at_every_call(ladder: str) -> None:
    rungs = load_ladder(ladder).rung_names()
    errors = [0.1, 0.2, float("inf"), 0.4]
    records = [_record("a<b>", corpus, e) for corpus, e in zip(rungs, errors, strict=False)]
    records += [_record("persistence", corpus, 0.9, floor=True) for corpus in rungs[:2]]
    curves = shift_curves(records)[ladder]
    drawing = draw_shift(curves, load_ladder(ladder))
    assert ET.fromstring(drawing).tag.endswith("svg")
    assert drawing == draw_shift(curves, load_ladder(ladder))
    assert "currentColor" in drawing
    assert load_ladder(ladder).parameter.replace("_", " ") in drawing


def test_diverged_points_and_points_without_a_floor_draw_nothing() -> None:
    ladder = load_ladder(LADDER)
    curve = shift_curves([_record("a", RUNGS[0], float("inf"))])[LADDER]
    assert "<svg" in draw_shift(curve, ladder)


def test_a_rung_that_is_a_range_is_drawn_by_its_groups_of_samples() -> None:
    ladder = load_ladder("helmholtz_omega")
    along = Along(parameter="omega", values=(11.0, 12.0, 15.0), errors=(0.5, 2.0, 0.7),
                  samples=(3, 4, 1))  # fmt: skip
    record = _record("a", "helmholtz_omega_13", 1.1, task=TASKS["steady_shift_helmholtz_omega_13"])
    records = [record, record.model_copy(update={"along": along})]
    (without,), (curve,) = (shift_curves([each])["helmholtz_omega"] for each in records)
    assert curve.points[0].along == ((11.0, 0.5), (12.0, 2.0), (15.0, 0.7))
    assert without.points[0].along == ()
    assert draw_shift([curve], ladder) != draw_shift([without], ladder)


def test_below_errors_of_helmholtz_stand_the_distances_from_resonance() -> None:
    distance, redrawn = resonance_panels(load_ladder("helmholtz_omega"))
    assert list(distance.heights) == list(range(1, 51))
    spacing = 0.01 * (2 * math.pi) ** 2  # the closed form, .3948 |k|^2
    squares = {spacing * (a * a + b * b) for a in range(13) for b in range(13)}
    for omega, height in distance.heights.items():
        assert height == pytest.approx(min(abs(omega - square) for square in squares))
    assert {omega for omega, share in redrawn.heights.items() if share} == {2, 4}
    assert resonance_panels(load_ladder("poisson_anisotropy")) == ()
