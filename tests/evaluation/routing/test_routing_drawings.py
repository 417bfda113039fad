"""Laws of the drawings: one SVG element each, the same for the same record, numbers readable."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from routing_records import routing_record as _record

from evaluation.routing.figures import figures_of
from evaluation.routing.plots import (
    draw_accuracy,
    draw_confusion,
    draw_emergence,
    draw_usage,
    runs_of,
)
from evaluation.routing.record import RoutingRecord
from evaluation.routing.table import block_table, confusion_table
from evaluation.routing.usage import CorpusUsage


def _confusion(record: RoutingRecord) -> str:
    inference = record.findings.inference
    return draw_confusion(inference, inference.combined, "m & n")


DRAWINGS: dict[str, Callable[[RoutingRecord], str]] = {
    "confusion": _confusion,
    "usage": lambda record: draw_usage(record.findings.usage, "m & n"),
    "accuracy": draw_accuracy,
    "emergence": lambda record: draw_emergence({"m & n": [record, _record(9)]}),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_one_described_element_in_the_ink_of_its_page(name: str) -> None:
    text = DRAWINGS[name](_record(5))
    element = ET.fromstring(text)
    assert element.attrib["role"] == "img"
    assert element.attrib["aria-label"]
    assert "width" not in element.attrib, "the page decides"
    assert "currentColor" in text
    assert text == DRAWINGS[name](_record(5))


def test_the_shares_of_a_confusion_are_written_in_its_cells() -> None:
    record = _record(5, sharpness=60.0)
    written = [
        "".join(element.itertext())
        for element in ET.fromstring(_confusion(record)).iter()
        if element.tag.endswith("text")
    ]
    assert written.count("100") == 2
    assert "0" not in written, "empty cells say nothing"


def _named(name: str, step: int | None, floor: bool = False) -> RoutingRecord:
    record = _record(step or 0)
    facts = record.model.model_copy(update={"name": name, "floor": floor})
    return record.model_copy(update={"model": facts, "training_step": step})


def test_an_emergence_does_not_depend_on_the_order_of_its_checkpoints() -> None:
    records = [_record(step, sharpness=step / 10) for step in (0, 100, 10)]
    (run,) = runs_of(records).values()
    assert [record.training_step for record in run] == [0, 10, 100]
    assert draw_emergence(runs_of(records)) == draw_emergence(runs_of(records[::-1]))
    assert runs_of([_named("m", None)]) == {}


def test_an_emergence_has_a_line_a_run() -> None:
    records = [
        *(_named(f"a-step-{step:08d}", step) for step in (5, 9)),
        *(_named(f"b-step-{step:08d}", step) for step in (5, 9, 12)),
        _named("a-step-00000005-untrained", 0, floor=True),
    ]
    runs = runs_of(records)
    steps = {name: [record.training_step for record in run] for name, run in runs.items()}
    assert steps == {"a": [0, 5, 9], "b": [5, 9, 12]}
    written = "".join(ET.fromstring(draw_emergence(runs)).itertext())
    assert "block 1" not in written
    assert "all blocks" in "".join(ET.fromstring(draw_emergence({"a": runs["a"]})).itertext())
    # Folders called as somebody likes, one a step, are of one run; seeds of one length are not.
    assert [len(run) for run in runs_of([_named("early", 5), _named("late", 9)]).values()] == [2]
    assert runs_of([_named("seed 0", 9), _named("seed 1", 9)]) == {}


def test_tables_hold_every_block_and_every_corpus() -> None:
    record = _record(5)
    lines = block_table(record).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["1", "2", "all"]
    assert lines[0].count("AUROC") == 2
    few_shot = record.findings.few_shot
    assert few_shot is not None
    table = confusion_table(few_shot, few_shot.combined)
    assert all(table.count(corpus) == 2 for corpus in ("aa", "bb", "cc"))
    alone = _record(5, few=0)
    assert "Among 3" in lines[0]
    assert "Unseen 1" in lines[0]
    assert "Among" not in block_table(alone)


def test_models_of_one_name_have_figures_of_their_own() -> None:
    """Every training folder calls its checkpoint `model`."""
    figures = figures_of([_record(5), _record(7)])
    kinds = ("confusion", "usage", "accuracy")
    assert set(figures) == {f"m <1>-{n}.{kind}" for n in (1, 2) for kind in kinds} | {"emergence"}
    assert figures["m <1>-1.usage"] != figures["m <1>-2.usage"]
    assert set(figures_of([_record(5)])) == {f"m <1>.{kind}" for kind in kinds}


def test_twelve_corpora_in_eight_blocks_fit_a_page() -> None:
    """The largest published model: the panels stand in two columns."""
    weights = tuple(tuple(row) for row in np.full((8, 16), 1 / 16).tolist())
    usage = [
        CorpusUsage(corpus=str(k), seen=True, weight=weights, chosen=weights, entropy_bits=(4.0,))
        for k in range(12)
    ]
    _, _, width, height = map(
        float, ET.fromstring(draw_usage(usage, "m")).attrib["viewBox"].split()
    )
    assert height < 1.5 * width
