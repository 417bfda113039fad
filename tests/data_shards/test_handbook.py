"""Laws of the page of corpora: it is up to date, complete, and every link leads somewhere."""

import re
from importlib.resources import files

import pytest
from shards_console import console

from data_shards.card import ChannelStatistics
from data_shards.catalogue import card_names, ladder_names, load_card, load_ladder
from data_shards.handbook import anchor, facts, grid_text, page, splits_text, table


def test_the_page_beside_the_cards_is_up_to_date(capsys):
    """Mend it with `foundation shards list --markdown > data_shards/cards/README.md`."""
    console("list", "--markdown")
    assert (files("data_shards") / "cards" / "README.md").read_text() == capsys.readouterr().out


def test_every_corpus_has_a_section_and_every_link_on_the_page_leads_to_one():
    text = page()
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert set(card_names()) <= set(headings)
    assert len(set(headings)) == len(headings)
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) == len(card_names())
    assert set(links) <= {anchor(heading) for heading in headings}


@pytest.mark.parametrize("name", card_names())
def test_a_section_says_everything_that_a_card_says(name):
    card = load_card(name)
    text = facts(card)
    words = [card.title, card.equation, card.source, card.license, card.citation]
    words += [channel.name for channel in card.channels]
    words += list(card.parameters)
    words += [f"`{file.name}`" for file in (card.published.files if card.published else ())]
    words += [card.generator] if card.generator else []
    for word in words:
        assert word.rstrip("\n") in text


@pytest.mark.parametrize("name", ladder_names())
def test_a_ladder_names_its_rungs_with_their_distances(name):
    row = next(line for line in page().splitlines() if line.startswith(f"| `{name}`"))
    ladder = load_ladder(name)
    for rung in ladder.rungs:
        assert f"{rung.value:g} ({ladder.distance(rung.value):.2g})" in row
    assert f"ladder {name}" in facts(load_card(ladder.rung_names()[0]))


def test_statistics_at_hand_come_before_those_of_the_card():
    card = load_card("pdebench_swe")
    ours = ChannelStatistics(name="h", mean=1.25, std=0.5, min=-7.5, max=8.5)
    assert "| h | 1 | 1.25 | 0.5 | -7.5 | 8.5 |" in facts(card, (ours,))
    without = card.model_copy(update={"statistics": ()})
    assert "| h | 1 |\n" in facts(without)
    assert "mean" not in facts(without)


def record(corpus: str, seconds: float, errors: dict) -> dict:
    return {
        "corpus": corpus,
        "profile": "small",
        "generator": "solver",
        "resolution": 64,
        "seconds": seconds,
        "error": errors,
        "error_last": {name: 2 * value for name, value in errors.items()},
    }


def test_costs_are_means_over_trajectories_of_the_worst_channel():
    records = [
        record("a", 1.0, {"u": 0.1, "v": 0.3}),
        record("a", 3.0, {"u": 0.5, "v": 0.1}),
        record("b", 5.0, {"u": 0.25}),
    ]
    text = page(records)
    assert "| a | small | solver | 64 | 2 | 2 | 0.4 | 0.8 |" in text
    assert "| b | small | solver | 64 | 1 | 5 | 0.25 | 0.5 |" in text
    assert "What the generators cost" not in page()


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ((64, 64), "64 x 64"),
        ((1, 1024), "1024"),
        ((1, 2, 3), "1 x 2 x 3"),
        ((128, 384), "128 x 384"),
    ],
)
def test_a_single_row_is_one_dimension(grid, text):
    assert grid_text(grid) == text


def test_splits_that_are_missing_count_nothing():
    assert splits_text({"test": 3}) == "0 / 0 / 3"


def test_a_bar_in_a_cell_does_not_end_it():
    assert table(["a"], [["x|y"]]).splitlines()[-1] == r"| x\|y |"


def test_a_steady_corpus_promises_no_forecast():
    text = facts(_steady())
    assert "Protocol: steady, nothing is forecast" in text
    assert " 0 are predicted" not in page()


def _steady():
    return next(card for card in map(load_card, card_names()) if card.frames == 1)


def test_the_table_of_costs_says_how_to_read_it():
    link = "../../evaluation/studies/generators/README.md"
    assert link in page([record("a", 1.0, {"u": 0.1})])
    assert (files("data_shards") / "cards" / link).is_file()
