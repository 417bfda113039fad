"""Laws of the page's markup: no name makes any, and the one script is the one that may run."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markup import HOSTILE, Elements
from own_files import waves, write_waves
from runs import write_checkpoint
from werkzeug.test import Client

from data_shards.simulation_file import read_simulation
from evaluation.simulation.likeness import CorpusDistance, Likeness
from evaluation.simulation.page.app import ExploreApp
from evaluation.simulation.page.explorer import Explorer
from evaluation.simulation.page.render import render_fault, render_page, render_scrub
from evaluation.simulation.page.samples import Shelf
from evaluation.simulation.page.scrub import Scrub, scrub
from foundation import Surrogate

PLAIN = ("first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_checkpoint(tmp_path_factory.mktemp("marked") / "model"))


@pytest.fixture(scope="module")
def found(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Scrub:
    path = write_waves(tmp_path_factory.mktemp("flow") / "flow.h5", waves(frames=14))
    return scrub(Surrogate.from_pretrained(checkpoint), read_simulation(path), steps=6)


def _part(found: Scrub, names: Sequence[str]) -> str:
    """What is shown of a forecast in which everything has these names."""
    file, channel, unit, corpus = names
    shown = found.simulation
    layout = replace(shown.layout, attributes=({"units": unit}, {}))
    axes = {
        axis: replace(getattr(shown, axis), name=channel, attributes={"units": unit})
        for axis in ("rows", "columns")
    }
    simulation = replace(
        shown, source=Path(file), channels=(channel, corpus), layout=layout, **axes
    )
    distance = CorpusDistance(corpus=corpus, cross_entropy=2.0, divergence=0.5, windows=1.0)
    likeness = Likeness(windows=1, corpora=(distance,), reach=2.0)
    named = replace(found, simulation=simulation, likeness=likeness)
    unlike = render_scrub(replace(named, likeness=None), "", (), unit)
    return render_scrub(named, file, (channel, unit), "") + unlike


def test_no_name_makes_markup_of_a_forecast(found: Scrub) -> None:
    plain, hostile = Elements(_part(found, PLAIN)), Elements(_part(found, HOSTILE))
    assert hostile.tags == plain.tags
    assert ("canvas", "width", "height", "data-frames", "role", "aria-label", "data-strip") in (
        plain.tags
    )
    for name in HOSTILE[1:]:
        assert hostile.text.count(name) >= 2, name
    assert Path(HOSTILE[0]).name in hostile.text


def test_no_name_makes_markup_of_the_page_around_it() -> None:
    def page(names: Sequence[str]) -> Elements:
        checkpoint, corpus, title, left_out = names
        shelf = Shelf(corpus, "test", 3, 16, title)
        both = render_page(checkpoint, title, [shelf], [left_out], 1 << 20)
        return Elements(both + render_page(checkpoint, title, [], [left_out], 1 << 20))

    hostile = page(HOSTILE)
    assert hostile.tags == page(PLAIN).tags
    for name in HOSTILE:
        assert name in hostile.text
    assert hostile.tags.count(("script",)) == 2, "of the two pages"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_fault_is_one_paragraph_of_text(name: str) -> None:
    found = Elements(render_fault(name))
    assert found.tags == [("p", "class", "role"), ("/p",)]
    assert found.text == f"error: {name}"


def test_the_policy_allows_the_pages_script_and_no_other(checkpoint: str) -> None:
    explorer = Explorer(Surrogate.from_pretrained(checkpoint), checkpoint)
    answer = Client(ExploreApp(explorer, 1 << 20)).get("/")
    (script,) = re.findall("<script>(.*?)</script>", answer.text, re.DOTALL)
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{checksum}';" in answer.headers["Content-Security-Policy"]
    assert "function explore(root)" in script


def test_what_is_not_known_is_said_in_place_of_a_curve(found: Scrub) -> None:
    shown = replace(found.simulation, fields=found.simulation.fields[:10])
    none = replace(found.errors, model=np.empty(0), persistence=np.empty(0))
    unknown = replace(found, simulation=shown, errors=none, channel_errors=(None, None))
    page = render_scrub(unknown, "", (), "")
    assert "Nothing is known of what follows these frames" in page
    assert '<table class="readings">' not in page
    assert "<svg" not in page
