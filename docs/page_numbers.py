"""Numbers of a page that state results: all that do not show by their look that they state none.

No result are what stands in code, the heads and first cells of tables (they name what the others
hold), identifiers, dates, shapes, and whole numbers that count what an experiment is set up with,
such as `1,250 steps` or `16, 32 and 64 trajectories`. Results in such units are not seen here, nor
are counts in words (`three seeds`); they may have facts all the same. Ratios in words (`a fifth`,
`ten times`, `two of three`) are, and so are times (`a minute`, `hours`; `seconds` may be the unit
alone) and amounts (`thousands`).
"""

import re

from evaluation.studies.facts import NUMBER, Span, cells_of

_WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
_COUNTED = (
    "cells|experts|fields|GPUs|layers|modes|nodes|passes|points|ranks|samples|spins|states|steps|"
    "trajectories|windows"
)
_NO_RESULT = re.compile(
    "|".join(
        (
            r"^```.*?^```",
            r"<!-- attacks -->.*<!-- end -->",  # written by docs/generate/attacks.py
            r"`(?:[^`\n]|\n(?!\n))*`",
            r"<!--.*?-->",
            r"\]\([^)]*\)",
            r"https?://\S+",
            r"^--8<--|^ *\d\. |(?:^## |(?<=[.:] ))\d\. (?=[A-Z`])",  # numbers of a list
            r"\b\d{4}\.\d{5}\b",  # arXiv
            r"\b20\d\d-\d\d(?:-\d\d)?\b",
            r"(?<=\()20\d\d(?=\))|(?:(?<=January )|(?<=November )|(?<=December ))20\d\d\b",
            r"\b\d+(?: ?x ?\d+)+\b|\b\d+\^\d\b|\b\d-?D\b",
            r"\bseeds? \d(?:(?:, | and )\d)*\b|\bversion \d\b",
            r"\bNS 1e-[345]\b|\btop-\d\b",
            rf"(?<![\w.-])(?:(?:{_WHOLE})(?:,\s|\sand\s|\sor\s|\sto\s|\sby\s|-))*"
            rf"(?:{_WHOLE})\s(?:(?!of\b)\w+\s)?(?:{_COUNTED})\b",
        )
    ),
    re.MULTILINE | re.DOTALL,
)
_PARTS = "third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth"
_FEW = "one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|fifty|hundred"
_RATIO = (
    rf"(?:half|halves|halved|twice|thrice|doubl\w+|tripl\w+|\w+fold|(?<!the )(?:{_PARTS})s?"
    rf"|(?:{_FEW})\s(?:times|of\s(?:the\s)?(?:{_FEW})))\b"
)
_LONG = "minutes?|hours?|days?|weeks?|months?|years?"
_SOME = rf"(?:{_FEW}|an?|some|several|few|tens\sof)\s"
_SHORT = rf"{_SOME}(?:milli)?seconds|(?:within|takes?)\s(?:a\s)?seconds?"
_TIME = rf"(?:(?:{_SOME})?(?:{_LONG})|{_SHORT})\b"
_AMOUNT = r"(?:dozen|hundred|thousand|million|billion)s?\b"
_RESULT = re.compile(rf"(?<![\w.]){NUMBER}|\b(?:{_RATIO}|{_TIME}|{_AMOUNT})", re.IGNORECASE)


def numbers_of(page: str) -> list[Span]:
    """Where a number may state a result, from character to character."""
    page = _NO_RESULT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), page)
    return [found.span() for found in _RESULT.finditer(_without_names(page))]


def _without_names(page: str) -> str:
    """Without heads and first cells of tables."""
    lines, before = [], ""
    for line in page.splitlines(keepends=True):
        cells = cells_of(line)
        named = cells[:1] if cells_of(before) else cells
        before = line
        for start, end in named:
            line = line[:start] + " " * (end - start) + line[end:]
        lines.append(line)
    return "".join(lines)
