"""Figures in words: recorded results in, the sentences and tables that follow from them out.

    python docs/figures.py

Fails where a page does not say what its records do, and where it has a number that no fact
computes. Of numbers that state no result `page_numbers.py` knows those that show it by their look;
the others are declared by `setup`. Facts of a study lie beside its records (`facts.py` of its
folder), those of README and of the documentation beside this command (`*_facts.py`). A new figure
gets its function there first.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
from page_numbers import numbers_of  # noqa: E402

from evaluation.studies.facts import STUDIES, Fact, PageFacts  # noqa: E402


def pages() -> list[str]:
    """Pages whose numbers are held to records, from the repository's root."""
    found = [*(ROOT / STUDIES).glob("*/README.md"), *(ROOT / "docs" / "pages").rglob("*.md")]
    return [
        "README.md",
        f"{STUDIES}/LOG.md",
        *sorted(str(path.relative_to(ROOT)) for path in found),
    ]


def all_facts() -> list[PageFacts]:
    """All facts and declarations."""
    found = [one for module in _modules() for one in vars(module).values()]
    found += [one for group in found if isinstance(group, tuple) for one in group]
    return [one for one in found if isinstance(one, PageFacts)]


def _modules() -> Iterator[ModuleType]:
    for path in sorted((ROOT / "docs").glob("*_facts.py")):
        yield import_module(path.stem)
    for path in sorted((ROOT / STUDIES).glob("*/facts.py")):
        yield import_module(f"evaluation.studies.{path.parent.name}.facts")


def mismatches(page: str, facts: Sequence[Fact]) -> list[str]:
    """What a page does not say of its facts, a line each."""
    faults = (fact.fault(page) for fact in facts)
    return [f"does not say what its records do: {fault}" for fault in faults if fault]


def uncovered(page: str, facts: Sequence[Fact]) -> list[str]:
    """Numbers of a page that none of its facts holds, a line each."""
    held = [span for fact in facts for span in fact.spans(page)]
    return [
        f"line {page.count(chr(10), 0, start) + 1}, no fact computes {_around(page, start, end)}"
        for start, end in numbers_of(page)
        if not any(one <= start and end <= other for one, other in held)
    ]


def _around(text: str, start: int, end: int) -> str:
    before, after = text[max(0, start - 30) : start], text[end : end + 30]
    return " ".join(f"{before}[{text[start:end]}]{after}".split())


def facts_by_page() -> dict[str, list[Fact]]:
    """Facts and declarations of every page, by its place in the repository.

    Raises:
        SystemExit: a record is missing or does not hold what facts are made of, or a page is gone.
    """
    facts: dict[str, list[Fact]] = {page: [] for page in pages()}
    for one in all_facts():
        for page in one.pages:
            try:
                facts[page] += one.facts()
            except (OSError, ValueError, LookupError, StopIteration) as error:
                told = f"{type(error).__name__}: {error}"
                raise SystemExit(f"facts of {page} cannot be made: {told}") from None
    return facts


def faults_of(page: str, facts: Sequence[Fact]) -> list[str]:
    """What is wrong with the text of a page, a line each."""
    return [*mismatches(page, facts), *uncovered(page, facts)]


def main() -> int:
    """Exit status 1 where a page and its records differ, or a number has no fact."""
    facts = facts_by_page()
    faults = [
        f"{page}: {fault}"
        for page, of_page in facts.items()
        for fault in faults_of((ROOT / page).read_text(), of_page)
    ]
    for line in faults:
        print(line)
    declared = sum(len(list(one.facts())) for one in all_facts() if one.declared)
    computed = sum(map(len, facts.values())) - declared
    print(f"{computed} facts, {declared} settings on {len(facts)} pages: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
