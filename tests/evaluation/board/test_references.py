"""Published figures on the board: beside the tasks that they are of, marked, and never ranked."""

from dataclasses import replace

import pytest
import torch
from board_records import TASKS, board_record
from forecasts import forecast_of

from evaluation.board.board import build_board
from evaluation.board.groups import groups_of
from evaluation.board.leaderboard import board_csv, board_markdown
from evaluation.board.page.render import render_page
from evaluation.board.references import REFERENCES_TITLE, references_on, sources
from evaluation.metrics.registry import find_measurement
from evaluation.metrics.relative import vrmse

NAMED = [
    (task, metric) for each in sources() for task, kinds in each.tasks.items() for metric in kinds
]
WELL = "the_well_rollout_mean_well_turbulent_radiative_layer_2d"


@pytest.mark.parametrize(("task", "metric"), NAMED)
def test_figures_are_of_a_task_and_of_what_it_measures(task, metric):
    assert metric in TASKS[task].measured


def test_every_figure_is_a_number_or_beyond_one():
    figures = [
        figure
        for each in sources()
        for kinds in each.tasks.values()
        for models in kinds.values()
        for figure in models.values()
    ]
    assert len(figures) > 50
    assert all(0 < float(figure.removeprefix(">")) <= 10 for figure in figures)


def test_the_board_shows_them_below_the_scores_and_ranks_nothing_of_them():
    board = build_board([board_record("ours", 0.1, TASKS[WELL])])
    page, text = render_page(board, {}), board_markdown(board)
    for told in (page, text):
        assert REFERENCES_TITLE in told
        assert "CNextU-net (The Well)" in told
        assert "not ranked" in told
        assert "VRMSE of frames 13 to 30" in told
    assert "&gt;10" in page
    assert "CNextU-net" not in board_csv(board)
    assert [row.label for row in board.rows] == ["ours"]


def test_groups_without_figures_show_nothing():
    board = build_board([board_record("ours", 0.1, TASKS["pdearena_conditioned_step_mean"])])
    (group,) = groups_of(board)
    assert references_on(group.columns) is None
    assert REFERENCES_TITLE not in board_markdown(board)


def test_only_columns_of_the_board_are_told():
    board = build_board([board_record("ours", 0.1, TASKS["zero_shot_cfdbench"])])
    (group,) = groups_of(board)
    published = references_on(group.columns)
    assert published is not None
    assert published.titles == ("Model", "L2RE cfdbench")
    assert dict(published.rows)["MoE-POT tiny"] == "0.00529"


def test_tasks_of_the_field_take_the_variance_as_the_well_does():
    field = [TASKS[name] for name in TASKS if name.startswith(("the_well", "pdearena_cond"))]
    assert len(field) >= 12
    assert {task.vrmse for task in field} == {"the_well"}


@pytest.mark.parametrize("task", ["the_well_rollout", "pdearena_conditioned_step"])
def test_means_and_medians_are_tasks_of_their_own(task):
    own = {name: each for name, each in TASKS.items() if name.startswith(task)}
    assert {each.aggregation for name, each in own.items() if "_mean" in name} == {"mean"}
    assert {each.aggregation for name, each in own.items() if "_median" in name} == {"median"}


def test_vrmse_of_some_frames_is_that_of_a_forecast_of_these_frames(generator):
    pred, true = torch.randn(2, 2, 12, 3, 8, 8, generator=generator)
    forecast = forecast_of(pred, true)
    found = find_measurement("vrmse_frames_3_7").measure(forecast)
    torch.testing.assert_close(found, vrmse(pred[:, 2:7], true[:, 2:7], forecast.points_B1CHW))
    well = replace(forecast, setting=replace(forecast.setting, vrmse="the_well"))
    divided_by_one_less = find_measurement("vrmse_frames_3_7").measure(well)
    torch.testing.assert_close(divided_by_one_less, found * (63 / 64) ** 0.5)
    assert not find_measurement("vrmse_frames_3_13").applies(forecast.setting)
