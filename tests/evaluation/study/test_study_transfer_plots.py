"""The drawings of fine-tuning show what the cells say, at the places where they belong."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

from evaluation.board.leaderboard import write_leaderboard
from evaluation.study import transfer_plots
from evaluation.study.transfer_plots import by_distance, draw_errors, draw_mixtures, draw_shifts
from evaluation.study.transfer_summary import StudyTransfer, TransferPoint, summarise_transfer

STUDY = Path("evaluation/studies/baselines")
MODELS, MIXTURES, SIZES = ("small", "large"), ("one", "three"), (8, 32, 128)
CORPORA = ("poisson_anisotropy_15", "poisson_anisotropy_3", "poisson_anisotropy_7.5")


def handmade(title: str = "toy") -> StudyTransfer:
    """From scratch .8 at 8 samples, half of it at four times as many; pre-trained a quarter."""
    points = []
    for model, mixture, corpus, size in product(MODELS, MIXTURES, CORPORA, SIZES):
        error = 0.8 * (size / 8) ** -0.5
        for source in ("pretrained", "scratch"):
            points.append(
                TransferPoint(
                    model=model,
                    mixture=mixture,
                    pretraining_seed=0 if source == "pretrained" else None,
                    corpus=corpus,
                    source=source,
                    trajectories=size,
                    learning_rate=1e-3,
                    seed=0,
                    validation_error=error,
                    error=error if source == "scratch" else error / 4,
                    record="r.json",
                )
            )
    names = dict.fromkeys(CORPORA, "t")
    return summarise_transfer(title, names, dict.fromkeys(CORPORA, "l2re"), points)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """The figures themselves, in the place of their markup."""
    figures: list = []

    def keep(figure, about):
        figures.append(figure)
        return about

    monkeypatch.setattr(transfer_plots, "inline_svg", keep)
    return figures


def test_corpora_stand_from_what_was_learnt_outwards():
    assert by_distance(CORPORA) == [CORPORA[1], CORPORA[2], CORPORA[0]]
    assert by_distance(["b", "a"]) == ["a", "b"]


def test_gains_are_drawn_where_they_are_and_in_the_order_of_sizes_and_shifts(drawn):
    transfer_plots.draw_sizes(handmade(), {"large": 4000, "small": 100})
    draw_shifts(handmade())
    for figure, places in zip(drawn, ([100, 4000], [0, 1, 2]), strict=True):
        for axes in figure.axes:
            lines = [line for line in axes.lines if not line.get_label().startswith("_")]
            assert len(lines) == 3
            for line in lines:
                assert list(line.get_xdata()) == places
                assert line.get_ydata() == pytest.approx([4.0] * len(places))


def test_a_sparse_model_is_no_size_of_the_dense_ones(drawn):
    transfer_plots.draw_sizes(handmade(), {"large": 4000, "small": 100}, sparse={"large"})
    for axes in drawn[0].axes:
        lines = {line.get_label(): line for line in axes.lines if line.get_linestyle() != ":"}
        for corpus in CORPORA:
            assert list(lines[corpus].get_xdata()) == [100]
            assert list(lines[f"{corpus}, sparse"].get_xdata()) == [4000]


def test_errors_have_a_panel_per_model_and_corpus_with_scratch_beside_the_mixtures(drawn):
    draw_errors(handmade())
    (figure,) = drawn
    assert len(figure.axes) == len(MODELS) * len(CORPORA)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["pre-trained on one", "pre-trained on three", "from scratch"]


def test_equal_mixtures_lie_on_the_line_of_one(drawn):
    draw_mixtures(handmade())
    (figure,) = drawn
    for axes in figure.axes:
        named = [line for line in axes.lines if line.get_label() in CORPORA]
        assert [list(line.get_ydata()) for line in named] == [[1.0] * len(SIZES)] * len(CORPORA)


def test_the_board_has_them_after_their_study(tmp_path):
    records = tmp_path / "records"
    records.mkdir()
    for name in ("study.json", "study-runs.json"):
        (records / name).write_text((STUDY / name).read_text())
    title = json.loads((records / "study.json").read_text())["title"]
    (records / "study-transfer.json").write_text(handmade(title).model_dump_json())
    write_leaderboard(records, tmp_path / "board")
    page = (tmp_path / "board" / "index.html").read_text()
    for about in ("error against samples", "gain against shift", "error after a mixture"):
        assert re.search(rf'aria-label="{about}[^"]*{re.escape(title)}', page), about
    assert "gain against model size" not in page  # the models' sizes are not known of all
