"""Figures of README, documentation and studies follow from their records."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import figures  # noqa: E402
from page_numbers import numbers_of  # noqa: E402

from evaluation.studies.facts import Phrase, Row, short  # noqa: E402

TABLE = "| net | error | steps |\n|---|---|---|\n| **ours** | {} |\n"


@pytest.fixture(scope="module")
def facts():
    return figures.facts_by_page()


@pytest.mark.parametrize("page", figures.pages())
def test_a_page_says_what_its_records_do_and_has_no_number_besides(page, facts):
    """Where this fails, change the page, or give its number a fact: python docs/figures.py."""
    assert figures.faults_of((ROOT / page).read_text(), facts[page]) == []


@pytest.mark.parametrize("page", figures.pages())
def test_any_digit_or_word_that_is_altered_on_a_page_is_noticed(page, facts):
    text = (ROOT / page).read_text()
    numbers = numbers_of(text)
    for start, end in numbers[:: max(1, len(numbers) // 8)]:
        number = text[start:end]
        altered = text[:start] + _altered(number) + text[end:]
        assert figures.faults_of(altered, facts[page]), number


def _altered(number: str) -> str:
    """Its last digit by 5, no tie of a rounding; what is in words becomes a ratio."""
    digits = [place for place, character in enumerate(number) if character.isdigit()]
    if not digits:
        return "sevenfold"
    last = digits[-1]
    return number[:last] + str((int(number[last]) + 5) % 10) + number[last + 1 :]


@pytest.mark.parametrize("page", figures.pages())
def test_a_number_that_joins_a_page_is_noticed(page, facts):
    text = (ROOT / page).read_text() + "\nIt errs by .1357 then, half as much.\n"
    number, ratio = figures.faults_of(text, facts[page])
    assert "[.1357]" in number
    assert "[half]" in ratio


FACTS = [Phrase("geometric mean # after #,", [0.1806, 1.3e-5]), Row("net", "ours", [0.1806, 1250])]


def page(mean: str, rate: str, error: str, steps: str) -> str:
    return f"A geometric\nmean {mean} after {rate}, say.\n\n" + TABLE.format(f"{error} | {steps}")


@pytest.mark.parametrize(
    "right", [(".181", "1.3e-5", ".18", "1,250"), (".18", "1e-5", ".2", "1e3")]
)
def test_what_rounds_to_the_records_follows(right):
    assert figures.mismatches(page(*right), FACTS) == figures.uncovered(page(*right), FACTS) == []


@pytest.mark.parametrize(
    "wrong",
    [
        (".180", "1.3e-5", ".18", "1,250"),
        (".181", "1.4e-5", ".18", "1,250"),
        (".181", "1.3e-5", ".180", "1,250"),
        (".181", "1.3e-5", ".18", "1,251"),
        (".181", "1.3e-5", ".18", "250"),
    ],
)
def test_what_does_not_is_told_and_its_numbers_are_held_by_nothing(wrong):
    assert len(figures.mismatches(page(*wrong), FACTS)) == 1
    assert len(figures.uncovered(page(*wrong), FACTS)) == 2


def test_a_fact_is_not_the_beginning_of_a_longer_number():
    assert Phrase("a mean of .18").fault("a mean of .181")
    assert Phrase("a mean of .18").fault("a mean of .18, as said") is None
    assert Phrase("8 of 6").fault("18 of 6")


@pytest.mark.parametrize(
    "text",
    [
        "`.5` and ```\n.5\n```\n",
        "three seeds of 1,250 steps of 16 samples on 4, 8 and 16 cells of 64x64 or 32 x 32 points",
        "| .5 | .6 |\n|---|---|\n| 4 boxes, .5 | words |\n",
        "arXiv 2510.25803, of 2026-11-30, seeds 0 and 1, 3-D",
        "[a link](a-0.5.md) <!-- .5 -->",
        "three seeds; the fifth corpus; both halfway; seconds by the clock, a second run",
    ],
)
def test_what_states_no_result_needs_no_fact(text):
    assert numbers_of(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "an error of .5 of",
        "12 frames",
        "3.2x",
        "12 %",
        "| a |\n|---|\n| b | 7 |\n",
        "4 of 6",
        "a fifth less",
        "Twice as fast",
        "ten\ntimes",
        "two thirds",
        "two of the six",
        "doubled",
        "a minute or less",
        "several seconds",
        "takes seconds",
        "within a second",
        "takes hours",
        "thousands of states",
        "a dozen others",
        "a million numbers",
    ],
)
def test_what_may_state_one_does(text):
    assert numbers_of(text)


@pytest.mark.parametrize(
    ("value", "text"), [(0.18009, ".180"), (1.0951, "1.10"), (12.34, "12.3"), (0.0096, ".00960")]
)
def test_numbers_are_written_as_pages_do(value, text):
    assert short(value) == text
