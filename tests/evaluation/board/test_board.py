"""Laws of the board: ranks, factors, what is comparable and what is set aside."""

import itertools

import pytest

from evaluation.board.board import Board, build_board
from evaluation.records.record import Machine, ModelFacts, Provenance, Record, Score
from evaluation.tasks.task import load_tasks

TASKS = load_tasks()


def make_record(
    name: str,
    value: float,
    *,
    corpus: str = "cfdbench",
    floor: bool = False,
    fingerprint: str | None = None,
    shards: str = "5" * 64,
    samples: int = 8,
    version: int = 1,
    date: str = "2026-01-01T00:00:00+00:00",
    higher: bool = False,
) -> Record:
    """A record as the runner would write it, with the headline `value`."""
    metric = "valid_frames" if higher else "l2re"
    terms = {
        "version": version,
        "metrics": (metric,),
        "headline": metric,
        "higher_is_better": higher,
    }
    task = TASKS[f"zero_shot_{corpus}"].model_copy(update=terms)
    return Record(
        model=ModelFacts(
            name=name,
            model_type="moe_pot",
            source=name,
            floor=floor,
            parameters_total=30_200_000,
            parameters_activated=17_600_000,
            fingerprint=fingerprint or name.ljust(64, "0"),
            config_hash="c" * 64,
        ),
        task=task,
        task_hash=task.hash,
        scores={metric: Score(value=value, standard_error=0.01)},
        error_per_frame=tuple(value * (1 + t) / 10 for t in range(10)),
        num_samples=samples,
        num_available=8,
        num_non_finite=1 if value == float("inf") else 0,
        seconds=1.5,
        provenance=Provenance(
            date=date,
            git_commit="0123456789abcdef-dirty",
            machine=Machine(cpu="CPU", cores=2, device="cpu", torch="2"),
            shard_fingerprint=shards,
            resolution=64,
            stride=1,
            batch_size=8,
        ),
    )


def _ranks(board: Board, task: str = "zero_shot_cfdbench") -> dict[str, int | None]:
    return {row.label: row.cells[task].rank for row in board.rows if task in row.cells}


def test_ranks_are_among_models_and_floors_stand_last() -> None:
    records = [
        make_record("worse", 0.3),
        make_record("persistence", 0.2, floor=True),
        make_record("best", 0.1),
        make_record("burst", float("inf")),
    ]
    board = build_board(records)
    assert _ranks(board) == {"best": 1, "worse": 2, "burst": 3, "persistence": None}
    assert board.rows[-1].facts.floor
    assert [row.label for row in board.rows if row.cells["zero_shot_cfdbench"].best] == ["best"]


def test_equal_scores_share_a_rank_and_the_next_one_is_skipped() -> None:
    board = build_board([make_record(n, v) for n, v in [("a", 0.1), ("b", 0.1), ("c", 0.2)]])
    assert _ranks(board) == {"a": 1, "b": 1, "c": 3}


def test_factor_is_that_over_the_better_floor() -> None:
    board = build_board(
        [
            make_record("model", 0.1),
            make_record("poor", 0.8),
            make_record("burst", float("inf")),
            make_record("persistence", 0.4, floor=True),
            make_record("context_mean", 0.9, floor=True),
        ]
    )
    factors = {row.label: row.cells["zero_shot_cfdbench"].factor for row in board.rows}
    assert factors["model"] == pytest.approx(4.0)
    assert factors["poor"] == pytest.approx(0.5)
    assert factors["burst"] == 0.0
    assert factors["persistence"] is None


def test_without_a_floor_there_is_no_factor_and_the_column_says_so() -> None:
    board = build_board([make_record("model", 0.1)])
    assert board.rows[0].cells["zero_shot_cfdbench"].factor is None
    assert not board.columns[0].has_floor


def test_where_higher_is_better_the_highest_ranks_first() -> None:
    board = build_board(
        [
            make_record("low", 0.5, higher=True),
            make_record("high", 0.9, higher=True),
            make_record("persistence", 0.45, floor=True, higher=True),
        ]
    )
    assert _ranks(board) == {"high": 1, "low": 2, "persistence": None}
    assert board.rows[0].cells["zero_shot_cfdbench"].factor == pytest.approx(2.0)


@pytest.mark.parametrize("higher", [False, True])
def test_a_diverged_model_ranks_last_whichever_way_is_better(higher: bool) -> None:
    board = build_board(
        [make_record("burst", float("inf"), higher=higher), make_record("a", 9.0, higher=higher)]
    )
    assert _ranks(board) == {"a": 1, "burst": 2}


@pytest.mark.parametrize("higher", [False, True])
def test_a_model_beats_a_diverged_floor_without_bound(higher: bool) -> None:
    floor = make_record("persistence", float("inf"), floor=True, higher=higher)
    board = build_board([make_record("a", 0.1, higher=higher), floor])
    assert board.rows[0].cells["zero_shot_cfdbench"].factor == float("inf")


def test_mean_rank_is_over_the_tasks_a_model_was_judged_on() -> None:
    board = build_board(
        [
            make_record("a", 0.1),
            make_record("b", 0.2),
            make_record("a", 0.4, corpus="pdebench_swe"),
            make_record("b", 0.3, corpus="pdebench_swe"),
            make_record("c", 0.01),
        ]
    )
    assert {row.label: row.mean_rank for row in board.rows} == {"a": 2.0, "b": 2.0, "c": 1.0}
    assert board.rows[-1].label == "c", "judged on fewer tasks, so below those judged on all"
    assert {row.label: row.rank for row in board.rows} == {"a": 1, "b": 1, "c": 3}


def test_models_trained_for_another_time_than_most_say_so() -> None:
    def of(name: str, steps: int | None) -> Record:
        record = make_record(name, 0.1)
        facts = record.model.model_copy(update={"training_steps": steps})
        return record.model_copy(update={"model": facts})

    board = build_board([of("a", 100), of("b", 100), of("c", 200), of("d", None)])
    assert {row.label for row in board.rows} == {"a", "b", "c, 200 steps", "d"}
    board = build_board([of("a", 100), of("c", 200)])
    assert {row.label for row in board.rows} == {"a, 100 steps", "c, 200 steps"}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (make_record("odd", 0.01, shards="6" * 64), "shards 6666666666, the column has 5555555555"),
        (make_record("odd", 0.01, samples=4), "4 samples, the column has 8"),
        (make_record("odd", 0.01, version=2), "(version 2), the column has"),
    ],
)
def test_records_of_other_terms_are_set_aside_with_the_reason(odd: Record, reason: str) -> None:
    board = build_board([odd, make_record("a", 0.1), make_record("b", 0.2)])
    assert _ranks(board) == {"a": 1, "b": 2}
    assert [aside.record for aside in board.set_aside] == [odd]
    assert reason in board.set_aside[0].reason


def test_the_newest_record_of_a_model_stands_and_the_older_is_set_aside() -> None:
    old = make_record("a", 0.1, date="2026-01-01T00:00:00+00:00")
    new = make_record("a", 0.2, date="2026-02-01T00:00:00+00:00")
    board = build_board([new, old])
    assert board.rows[0].cells["zero_shot_cfdbench"].record == new
    assert [aside.record for aside in board.set_aside] == [old]


def test_two_checkpoints_of_one_name_are_told_apart() -> None:
    board = build_board(
        [make_record("a", 0.1, fingerprint="1" * 64), make_record("a", 0.2, fingerprint="2" * 64)]
    )
    assert [row.label for row in board.rows] == ["a (1111111)", "a (2222222)"]


def test_order_of_records_does_not_matter() -> None:
    records = [
        make_record("a", 0.1),
        make_record("b", 0.2),
        make_record("persistence", 0.3, floor=True),
        make_record("a", 0.3, samples=4),
    ]
    boards = [build_board(order) for order in itertools.permutations(records)]
    assert all(board == boards[0] for board in boards)
