"""Laws of observables along ladders: those of the records, beside the exact ones."""

import xml.etree.ElementTree as ET

from board_records import board_record

from data_shards.catalogue import load_ladder
from evaluation.board.board import build_board
from evaluation.board.observables import observables, observed_along_ladders
from evaluation.board.observables_plot import draw_observed
from evaluation.board.page.curves import observables_chapter
from evaluation.board.page.elements import row_styles
from evaluation.records.record import Score
from evaluation.tasks.task import load_tasks

LADDER = load_ladder("ising_8_field")
TASKS = load_tasks()


def records():
    for place, rung in enumerate(LADDER.rung_names()):
        task = TASKS[f"ground_state_shift_{rung}"]
        for name, shift, floor in (("net", 0.01, False), ("variational_3", 0.1, True)):
            record = board_record(name, 0.01, task, floor=floor)
            exact = 1 - place / 20
            scores = record.scores | {
                "magnetisation": Score(value=exact + shift, standard_error=None),
                "magnetisation_exact": Score(value=exact, standard_error=None),
            }
            yield record.model_copy(update={"scores": scores})


def test_observables_are_the_scores_that_come_in_pairs():
    assert observables() == ("slip", "magnetisation", "correlation")


def test_curves_run_along_the_ladder_with_what_was_predicted_and_what_is_exact():
    (observed,) = observed_along_ladders(build_board(list(records())))
    assert (observed.ladder, observed.observable) == (LADDER.name, "magnetisation")
    values = [rung.value for rung in LADDER.rungs]
    assert [value for value, _ in observed.exact] == values
    assert [value for _, value in observed.exact] == [1 - i / 20 for i in range(len(values))]
    assert set(observed.predicted) == {"net", "variational_3"}
    gaps = [p - e for (_, p), (_, e) in zip(observed.predicted["net"], observed.exact, strict=True)]
    assert max(abs(gap - 0.01) for gap in gaps) < 1e-12


def test_the_board_draws_them_once_and_only_where_there_are_states():
    board = build_board(list(records()))
    styles = row_styles(board)
    chapter = observables_chapter(board, styles)
    assert chapter is not None
    assert chapter.anchor == "observables"
    (observed,) = observed_along_ladders(board)
    drawing = draw_observed(observed, LADDER, styles)
    assert ET.fromstring(drawing).tag.endswith("svg")
    assert drawing == draw_observed(observed, LADDER, styles)
    task = TASKS["zero_shot_pdebench_swe"]
    plain = build_board([board_record("net", 0.1, task)])
    assert observables_chapter(plain, row_styles(plain)) is None
