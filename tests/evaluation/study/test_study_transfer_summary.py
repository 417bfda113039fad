"""Learning rates are chosen by validation, whatever the test says; means are over seeds."""

import math
from typing import Any

import pytest

from data_shards.errors import UserError
from evaluation.study.table import transfer_tables
from evaluation.study.transfer_summary import StudyTransfer, TransferPoint, summarise_transfer


def point(rate: float, error: float, validation: float | None, **changed: Any) -> TransferPoint:
    values: dict[str, Any] = {
        "model": "FNO",
        "mixture": "three",
        "pretraining_seed": 0,
        "corpus": "poisson",
        "source": "pretrained",
        "trajectories": 8,
        "seed": 0,
        "record": "r.json",
        **changed,
    }
    return TransferPoint(learning_rate=rate, error=error, validation_error=validation, **values)


def scratch(rate: float, error: float, validation: float | None, **changed: Any) -> TransferPoint:
    return point(rate, error, validation, source="scratch", pretraining_seed=None, **changed)


def summed(*points: TransferPoint) -> StudyTransfer:
    return summarise_transfer("toy", {"poisson": "t"}, {"poisson": "l2re"}, points)


def test_validation_chooses_even_where_the_test_would_have_chosen_otherwise():
    (cell,) = summed(point(1e-3, 0.9, 0.1), point(1e-4, 0.2, 0.3)).cells
    assert (cell.pretrained.learning_rate, cell.pretrained.error.mean) == (1e-3, 0.9)
    (cell,) = summed(point(1e-3, 0.9, 0.3), point(1e-4, 0.2, 0.1)).cells
    assert (cell.pretrained.learning_rate, cell.pretrained.error.mean) == (1e-4, 0.2)


def test_one_rate_is_chosen_for_all_seeds_by_their_mean():
    """By itself seed 1 would take the other rate."""
    points = [
        *(point(1e-3, 0.4, 0.1, seed=0), point(1e-3, 0.6, 0.4, seed=1)),
        *(point(1e-4, 0.1, 0.9, seed=0), point(1e-4, 0.1, 0.2, seed=1)),
    ]
    (cell,) = summed(*points).cells
    chosen = cell.pretrained
    assert (chosen.learning_rate, chosen.runs) == (1e-3, 2)
    assert chosen.error.mean == pytest.approx(0.5)
    assert chosen.error.standard_error == pytest.approx(0.1)  # stdev .1414 / sqrt 2
    assert chosen.validation_error.mean == pytest.approx(0.25)


def test_each_source_and_each_size_chooses_for_itself():
    points = [
        *(point(1e-3, 0.1, 0.9), point(1e-4, 0.2, 0.1)),
        *(scratch(1e-3, 0.6, 0.1), scratch(1e-4, 0.9, 0.9)),
        *(point(1e-3, 0.3, 0.1, trajectories=32), point(1e-4, 0.4, 0.9, trajectories=32)),
    ]
    small, large = summed(*points).cells
    assert (small.pretrained.learning_rate, small.scratch.learning_rate) == (1e-4, 1e-3)
    assert small.error_factor == pytest.approx(3.0)
    assert (large.trajectories, large.pretrained.learning_rate) == (32, 1e-3)
    assert large.scratch is large.error_factor is None


def test_of_a_study_that_is_not_done_a_rate_with_fewer_runs_is_not_chosen():
    points = [point(1e-3, 0.4, 0.5, seed=seed) for seed in (0, 1)]
    (cell,) = summed(*points, point(1e-4, 0.1, 0.01)).cells
    assert (cell.pretrained.learning_rate, cell.pretrained.runs) == (1e-3, 2)


def test_a_diverged_rate_loses_and_a_diverged_cell_is_told():
    (cell,) = summed(point(1e-3, math.inf, math.inf), point(1e-4, 0.5, 0.9)).cells
    assert cell.pretrained.learning_rate == 1e-4
    summary = summed(point(1e-3, math.inf, math.inf), scratch(1e-3, 0.5, 0.5))
    assert summary.cells[0].error_factor is None
    assert "diverged" in transfer_tables(summary)
    assert StudyTransfer.model_validate_json(summary.model_dump_json()) == summary


def test_several_rates_without_validation_are_refused_and_one_needs_none():
    (cell,) = summed(point(1e-3, 0.4, None)).cells
    assert (cell.pretrained.validation_error, cell.pretrained.error.mean) == (None, 0.4)
    with pytest.raises(UserError, match="no validation error to choose among 2 learning rates"):
        summed(point(1e-3, 0.4, None), point(1e-4, 0.4, None))
    with pytest.raises(UserError, match="no finished fine-tuning"):
        summed()


def test_the_table_has_a_row_per_model_and_size():
    text = transfer_tables(summed(point(1e-3, 0.25, 0.1), scratch(1e-4, 0.5, 0.1)))
    assert text.startswith("poisson, fine-tuned: L2RE by number of trajectories")
    assert [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]] == [
        "FNO", "three", "8", "0.250", "0.001", "0.500", "0.0001", "2.00",
    ]  # fmt: skip
