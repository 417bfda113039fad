"""Figures in words: recorded results in, the sentences and tables that follow from them out.

    python docs/figures.py          # fails where a page does not say what its records do
    python docs/figures.py --list   # besides, which numbers of which page nobody computes yet

Of numbers that state no result `page_numbers.py` knows those that show it by their look; the others
are declared by `setup`. Facts of a study lie beside its records (`facts.py` of its folder),
those of README and of the documentation beside this command (`*_facts.py`). A new figure gets its
function there first.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]
from page_numbers import numbers_of  # noqa: E402

from evaluation.studies.facts import STUDIES, Fact, Told  # noqa: E402


def pages() -> list[str]:
    """Pages whose numbers are held to records, from the repository's root."""
    found = [*(ROOT / STUDIES).glob("*/README.md"), *(ROOT / "docs" / "pages").rglob("*.md")]
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in found)]


def told() -> list[Told]:
    """All facts and declarations."""
    found = [one for module in _modules() for one in vars(module).values()]
    found += [one for group in found if isinstance(group, tuple) for one in group]
    return [one for one in found if isinstance(one, Told)]


def _modules() -> Iterator[ModuleType]:
    for path in sorted((ROOT / "docs").glob("*_facts.py")):
        yield import_module(path.stem)
    for path in sorted((ROOT / STUDIES).glob("*/facts.py")):
        yield import_module(f"evaluation.studies.{path.parent.name}.facts")


def unsaid(text: str, facts: Sequence[Fact]) -> list[str]:
    """What a page does not say of its facts, a line each."""
    faults = (fact.fault(text) for fact in facts)
    return [f"does not say what its records do: {fault}" for fault in faults if fault]


def strays(text: str, facts: Sequence[Fact]) -> list[str]:
    """Numbers of a page that none of its facts holds, a line each."""
    held = [span for fact in facts for span in fact.spans(text)]
    return [
        f"line {text.count(chr(10), 0, start) + 1}, no fact computes {_around(text, start, end)}"
        for start, end in numbers_of(text)
        if not any(one <= start and end <= other for one, other in held)
    ]


def _around(text: str, start: int, end: int) -> str:
    before, after = text[max(0, start - 30) : start], text[end : end + 30]
    return " ".join(f"{before}[{text[start:end]}]{after}".split())


def check(*kinds: Callable[[str, Sequence[Fact]], list[str]]) -> list[str]:
    """Faults of all pages, a line each."""
    facts = told()
    named = {page for one in facts for page in one.pages}
    faults = []
    for page in sorted({*pages(), *named}):
        of_page = [fact for one in facts if page in one.pages for fact in one.facts()]
        text = (ROOT / page).read_text()
        faults += [f"{page}: {fault}" for kind in kinds for fault in kind(text, of_page)]
    return faults


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 where a page and its records differ."""
    faults = check(unsaid)
    for line in [*faults, *(check(strays) if "--list" in arguments else ())]:
        print(line)
    computed = [fact for one in told() if not one.declared for fact in one.facts()]
    print(f"{len(computed)} facts on {len(pages())} pages, {len(faults)} that do not follow")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
