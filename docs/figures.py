"""Figures in words: recorded results in, the sentences and tables that follow from them out.

    python docs/figures.py          # fails where a page does not say what its records do
    python docs/figures.py --list   # besides, which numbers of which page nobody computes yet

Facts of a study lie beside its records (`evaluation/studies/NAME/facts.py`), those of README and of
pages that join several studies in `page_facts.py`. A new figure gets its function there first.
"""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
from evaluation.studies.facts import STUDIES, Fact, Row, Told  # noqa: E402

_NUMBER = re.compile(r"(?<![\w.])\d*\.?\d+(?:e-?\d+)?(?![\w.]*\w)")


def facts_by_page() -> dict[str, list[Fact]]:
    """All facts."""
    facts: dict[str, list[Fact]] = {}
    for module in _modules():
        for told in vars(module).values():
            if isinstance(told, Told):
                for page in told.pages:
                    facts.setdefault(page, []).extend(told.facts())
    return facts


def _modules() -> Iterator[ModuleType]:
    yield import_module("page_facts")
    for path in sorted((ROOT / STUDIES).glob("*/facts.py")):
        yield import_module(f"evaluation.studies.{path.parent.name}.facts")


def _plain(text: str) -> str:
    return " ".join(text.split())


def check() -> list[str]:
    """What pages do not say of what follows from their records, a line each."""
    faults = []
    for page, facts in facts_by_page().items():
        text = (ROOT / page).read_text()
        for fact in facts:
            if fault := _fault(fact, text):
                faults.append(f"{page}: its records say, and it does not: {fault}")
    return faults


def _fault(fact: Fact, page: str) -> str | None:
    if isinstance(fact, Row):
        return fact.fault(page)
    return None if _plain(fact) in _plain(page) else _plain(fact)


def coverage() -> list[str]:
    """Per page, how many of its numbers are computed here."""
    pages = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in _pages())]
    known, lines = facts_by_page(), []
    for page in pages:
        text = re.sub(r"```.*?```", " ", (ROOT / page).read_text(), flags=re.S)
        here = len(_NUMBER.findall(text))
        there = sum(
            len(fact.values) if isinstance(fact, Row) else len(_NUMBER.findall(fact))
            for fact in known.get(page, ())
        )
        lines.append(f"{page}: {there} of {here} numbers")
    return lines


def _pages() -> Iterator[Path]:
    yield from (ROOT / STUDIES).glob("*/README.md")
    yield from (ROOT / "docs" / "pages").glob("*.md")


def main(arguments: list[str]) -> int:
    """Exit status 1 where a page and its records differ."""
    faults = check()
    for line in [*faults, *(coverage() if "--list" in arguments else ())]:
        print(line)
    known = facts_by_page()
    count = sum(map(len, known.values()))
    print(f"{count} facts on {len(known)} pages, {len(faults)} that do not follow")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
