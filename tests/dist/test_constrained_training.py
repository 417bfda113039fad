"""A network under an equation goes the whole way: learnt on any ranks, resumed, judged."""

import json
from pathlib import Path

import pytest
import torch
from group import on_ranks
from runs import curve, pretrain, rows
from steady import COUNTS, SIDE
from written import write_generated

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.windows import origin_of
from foundation import Surrogate
from launchers.cli import main

pytestmark = pytest.mark.dist

MODEL = {
    "model_type": "fno",
    "resolution": SIDE,
    "channels": 1,
    "context_frames": 1,
    "out_frames": 31,
    "width": 6,
    "layers": 2,
    "modes": 4,
    "projection": 12,
    "constraint": {
        "equation": "burgers",
        "boxes": [1, 2],
        "basis": 4,
        "points": 120,
        "learnt_frames": 24,
        "solver": {"tolerance": 1e-9},
    },
}
SETTINGS = (
    f"model={json.dumps(MODEL)}",
    "data.corpora=[burgers]",
    "loss={objective: residual, noise: 0, balance_weight: 0}",
    "optimiser.lr=1e-3",
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_generated(tmp_path_factory.mktemp("lines"), "burgers", COUNTS, SIDE)


@pytest.fixture(scope="module")
def whole(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert on_ranks(1, pretrain, lines, output, 1, None, SETTINGS) == [0]
    return output


def test_what_is_minimised_falls_without_any_solution(whole):
    losses = [row["loss"] for row in rows(whole)]
    assert losses[-1] < losses[0]
    assert all(row["loss"] == pytest.approx(row["terms"]["residual"]) for row in rows(whole))
    assert all(row["terms"]["iterations"] > 0 for row in rows(whole))


def test_boxes_on_two_ranks_make_the_run_of_one(lines, whole, tmp_path):
    assert on_ranks(2, pretrain, lines, tmp_path / "two", 2, None, SETTINGS) == [0, 0]
    # float32 outside the solver: ranks sum the same numbers in another order
    assert [row["loss"] for row in rows(tmp_path / "two")] == pytest.approx(
        [row["loss"] for row in rows(whole)], rel=1e-3
    )


def test_a_resumed_run_draws_the_same_points_and_ends_bit_for_bit_alike(lines, whole, tmp_path):
    again = tmp_path / "again"
    assert on_ranks(1, pretrain, lines, again, 1, 4, SETTINGS) == [0]
    assert on_ranks(1, pretrain, lines, again, 1, None, (*SETTINGS, "--resume")) == [0]
    assert curve(again) == curve(whole)


def test_boxes_that_ranks_cannot_share_are_refused(lines, tmp_path):
    three = tuple(s.replace('"boxes": [1, 2]', '"boxes": [1, 3]') for s in SETTINGS)
    assert on_ranks(2, pretrain, lines, tmp_path / "no", 2, None, three) == [2, 2]


def test_it_is_judged_by_error_and_residual_and_forecasts_alike_by_hand(lines, whole, tmp_path):
    output = tmp_path / "records.json"
    command = ["evaluate", str(whole / "model"), "--shards", str(lines)]
    assert main([*command, "--tasks", "constrained_burgers", "--output", str(output)]) == 0
    (record,) = json.loads(output.read_text())["records"]
    corpus = ShardedCorpus.open(lines, "burgers", "test")
    model = Surrogate.from_pretrained(whole / "model")
    errors = []
    for number in range(len(corpus)):
        fields = torch.from_numpy(corpus.window(number, 0, 32).copy())[None]
        found = model.forecast(fields[:, :1], 31, origins=(origin_of(corpus, number),))
        errors.append(float((found - fields[:, 1:]).norm() / fields[:, 1:].norm()))
    scores = record["scores"]
    assert scores["l2re"]["value"] == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    early, late = (scores[f"evolution_residual_frames_{run}"]["value"] for run in ("1_24", "25_31"))
    mean = (24 * early**2 + 7 * late**2) / 31
    assert scores["evolution_residual"]["value"] ** 2 == pytest.approx(mean, rel=0.3)
