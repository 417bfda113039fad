"""Figures of README, documentation and studies follow from their records."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import figures  # noqa: E402

from evaluation.studies.facts import Row, short  # noqa: E402

TABLE = "| net | error | steps |\n|---|---|---|\n| **ours** | {} |\n"


def test_pages_say_what_their_records_do():
    """Where this fails, the page is to be changed, not the record: python docs/figures.py."""
    assert figures.check() == []


@pytest.mark.parametrize("fact", ["geometric mean .181", Row("net", "ours", [0.1806, 12])])
def test_a_figure_that_does_not_follow_is_told(fact):
    page = "The geometric\nmean is .18.\n\n" + TABLE.format(".180 | 12")
    assert figures._fault(fact, page)


def test_a_figure_that_follows_is_not():
    page = "a\ngeometric mean .181\n\n" + TABLE.format(".181 | 1,250")
    assert figures._fault("geometric mean .181", page) is None
    assert figures._fault(Row("net", "ours", [0.1806, 1250]), page) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.18009, ".180"), (1.0951, "1.10"), (12.34, "12.3"), (0.0096, ".00960")]
)
def test_numbers_are_written_as_pages_do(value, text):
    assert short(value) == text
