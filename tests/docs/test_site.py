"""The built site: what it shows is what its sources say, and it asks nothing of anybody.

`make docs` builds `build/site` and then runs these.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data_shards.catalogue import card_names
from evaluation.records.table import number
from launchers.verbs import SUMMARIES

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
STUDIES = ROOT / "evaluation" / "studies"

pytestmark = pytest.mark.docs


class _Loads(HTMLParser):
    """Addresses that a browser fetches by itself, links to follow by hand left out."""

    FETCHED = ("script", "img", "link", "iframe", "source", "video", "audio", "object")

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.FETCHED:
            values = dict(attrs)
            self.addresses += [values.get(key) or "" for key in ("src", "href", "data")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> _Loads:
    loads = _Loads()
    loads.feed(path.read_text())
    return loads


def words(page: str) -> str:
    return " ".join(" ".join(read(SITE / page).text).split())


def test_no_page_fetches_anything_from_outside():
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        outside = [a for a in read(page).addresses if re.match(r"(https?:)?//", a)]
        assert not outside, f"{page.relative_to(SITE)} fetches {outside}"


def test_no_style_sheet_fetches_anything_from_outside():
    sheets = sorted(SITE.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_verb_has_a_page_with_its_options(verb):
    from launchers.cli import build_parser

    options = build_parser(verb)._subparsers._group_actions[0].choices[verb]._option_string_actions
    shown = words(f"reference/console/{verb}.html")
    missing = [name for name in options if name.startswith("--") and name not in shown]
    assert missing in ([], ["--help"])


def test_every_corpus_is_described():
    shown = words("corpora.html")
    assert all(name in shown for name in card_names())


def test_scores_on_the_pages_are_those_of_the_records():
    records = json.loads((STUDIES / "quickstart" / "nano_moe_fno_patched.json").read_text())[
        "records"
    ]
    scores = [r["scores"]["l2re"]["value"] for r in records if not r["model"]["floor"]]
    assert len(scores) == 6
    for page in ("index.html", "results/quickstart.html"):
        shown = words(page)
        missing = [score for score in scores if f"{number(score)} ±" not in shown]
        assert not missing, f"{page} lacks {missing}"


def test_every_record_of_a_study_has_its_row():
    bench = json.loads((STUDIES / "stream" / "stream.json").read_text())["results"]
    shown = words("results/stream.html")
    assert all(f"{row['ratio']:.4g}" in shown for row in bench)
    assert "128x128, 101" not in shown  # the table that its README copies is left out


def test_a_page_shows_what_its_commands_print():
    shown = words("how-to/scale.html")
    asked = (ROOT / "docs" / "pages" / "how-to" / "scale.md").read_text().count("<!-- output -->")
    assert shown.count("from vendor figures of H100") == asked > 4
    assert shown.count("fastest of its number of GPUs") == asked - 1
