"""Laws of what a study found, by hand-computed cases."""

import json
import math
import re

import pytest
from board_records import TASKS as TASKS_KNOWN
from board_records import board_record, save_board_records
from study_points import TASKS, study_point, two_models

from data_shards.errors import UserError
from evaluation.board.leaderboard import write_leaderboard
from evaluation.board.page.study import study_chapter
from evaluation.records.kinds import RecordFolder
from evaluation.study.plots import draw_study
from evaluation.study.results import STUDIES
from evaluation.study.summary import StudySummary, over_seeds, summarise
from evaluation.study.table import study_tables


def summary_of(points=None) -> StudySummary:
    return summarise("sparse or dense", TASKS, points or two_models())


def test_means_and_their_errors_are_those_of_the_seeds() -> None:
    sparse = next(each for each in summary_of().standings if each.model == "sparse")
    first = sparse.errors["zero_shot_pdebench_swe"]
    assert first.mean == pytest.approx(0.12)
    assert first.standard_error == pytest.approx(0.02 / math.sqrt(3))
    geometric = [math.sqrt(a * b) for a, b in ((0.10, 0.40), (0.12, 0.60), (0.14, 0.50))]
    assert sparse.geometric_mean.mean == pytest.approx(sum(geometric) / 3)


def test_ranks_are_taken_within_a_seed_and_then_averaged() -> None:
    ranks = {each.model: each.mean_rank.mean for each in summary_of().standings}
    # First task: always 1 against 2. Second: 2, 2, 1 against 1, 1, 2.
    assert ranks == pytest.approx({"sparse": (1.5 + 1.5 + 1) / 3, "dense": (1.5 + 1.5 + 2) / 3})
    assert [each.model for each in summary_of().standings] == ["sparse", "dense"]


def test_equal_errors_share_a_rank() -> None:
    points = [study_point(name, 0, (0.1, 0.1)) for name in ("a", "b")]
    assert [each.mean_rank.mean for each in summary_of(points).standings] == [1.0, 1.0]


def test_a_win_is_clear_only_beyond_twice_its_standard_error() -> None:
    wins = {(each.model, each.other): each for each in summary_of().wins}
    ours, theirs = wins["sparse", "dense"], wins["dense", "sparse"]
    # First task: .10 apart, standard error hypot(.0115, .0115) = .0163. Second: .05 and .076.
    assert (ours.better, ours.clearly_better, ours.clearly_worse) == (1, 1, 0)
    assert (theirs.better, theirs.clearly_better, theirs.clearly_worse) == (1, 0, 1)


def test_one_seed_has_no_clear_win() -> None:
    points = [study_point("a", 0, (0.1, 0.1)), study_point("b", 0, (0.9, 0.9))]
    assert {(each.better, each.clearly_better) for each in summary_of(points).wins} == {
        (2, 0),
        (0, 0),
    }


def test_a_diverged_run_loses_and_has_no_spread() -> None:
    points = [*two_models()[:-1], study_point("dense", 2, (math.inf, 0.5))]
    dense = next(each for each in summary_of(points).standings if each.model == "dense")
    assert dense.errors["zero_shot_pdebench_swe"] == over_seeds([0.2, 0.22, math.inf])
    assert dense.errors["zero_shot_pdebench_swe"].standard_error is None
    assert dense.geometric_mean.mean == math.inf
    assert "diverged" in study_tables(summary_of(points))
    assert draw_study(summary_of(points)).startswith("<svg")


def test_mixtures_are_not_ranked_against_each_other() -> None:
    twelve = [study_point(m, s, (0.01, 0.01), "ten", 10) for m in ("sparse", "dense") for s in (0,)]
    summary = summary_of([*two_models(), *twelve])
    first = [each for each in summary.standings if each.mixture == "six"]
    assert [each.mean_rank for each in first] == [each.mean_rank for each in summary_of().standings]
    assert {each.mixture for each in summary.wins} == {"six", "ten"}
    drawn = draw_study(summary)
    assert "corpora in the mixture" in drawn
    assert {"six", "ten"} <= set(re.findall(r"^(\w+): \d+ corpora", study_tables(summary), re.M))


def test_a_run_that_was_not_judged_on_all_is_named() -> None:
    short = study_point("a", 0, (0.1, 0.2)).model_copy(update={"errors": {"x": 1.0}})
    with pytest.raises(UserError, match=r"run a-six-0: not judged on zero_shot_pdebench_dr"):
        summary_of([short])
    with pytest.raises(UserError, match="no finished run"):
        summarise("nothing", TASKS, [])


def test_a_stored_study_is_itself_and_a_changed_one_is_refused(tmp_path) -> None:
    summary = summary_of([*two_models()[:-1], study_point("dense", 2, (math.inf, 0.5))])
    path = tmp_path / "study.json"
    path.write_text(summary.model_dump_json())
    assert RecordFolder(tmp_path).of(STUDIES) == [summary]
    changed = json.loads(path.read_text())
    changed["standings"][0]["mean_rank"]["mean"] = 1.0
    path.write_text(json.dumps(changed))
    with pytest.raises(UserError, match="its means are not those of its points"):
        STUDIES.read(path)


def test_the_board_shows_a_study_beside_the_records(tmp_path) -> None:
    (tmp_path / "records").mkdir()
    records = [board_record("sparse", 0.1, TASKS_KNOWN[name]) for name in TASKS]
    save_board_records(tmp_path / "records" / "runs.json", records)
    (tmp_path / "records" / "study.json").write_text(summary_of().model_dump_json())
    write_leaderboard(tmp_path / "records", tmp_path / "board")
    page = (tmp_path / "board" / "index.html").read_text()
    assert '<section id="studies">' in page
    assert "1 of 2" in page
    assert study_chapter([]) is None


def test_processor_seconds_are_told_where_every_seed_has_them() -> None:
    points = [
        point.model_copy(update={"processor_seconds": 100.0 + point.seed} if timed else {})
        for point in two_models()
        for timed in [point.model == "sparse"]
    ]
    told = {each.model: each.processor_seconds for each in summary_of(points).standings}
    assert told == {"sparse": over_seeds([100.0, 101.0, 102.0]), "dense": None}
    sparse, dense = (
        next(
            line for line in study_tables(summary_of(points)).splitlines() if f"| {model} " in line
        )
        for model in told
    )
    assert "101" in sparse
    assert "101" not in dense
