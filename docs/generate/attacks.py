"""The table of attacks: tests that count their trials in, rows of the page out.

    python docs/generate/attacks.py                      # run them all, and write the table
    python docs/generate/attacks.py tests/data_shards    # some of them: the other rows stay

Attacks have the marker of that name and record `attack`, `trials` and `outcome` (pytest's
`record_property`).
"""

import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "pages" / "reference" / "attacks.md"
HEAD = "| attack | trials | outcome | test |\n| --- | --- | --- | --- |"
_TABLE = re.compile(r"(?<=<!-- attacks -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| ([^|]+?) \|.*$", re.MULTILINE)


def rows_of(report: Path) -> dict[str, str]:
    """Rows by attack, of a report of pytest in JUnit's XML; tests that failed say so."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        told = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
        if "attack" not in told:
            continue
        failed = case.find("failure") is not None
        outcome = told["outcome"] + (", FAILED" if failed else "")
        old = found.get(told["attack"])
        if old is not None and int(old.split("|")[2]) > int(told["trials"]):
            continue  # the short form of the same
        where = "/".join(case.get("classname", "").split("."))
        row = (told["attack"], told["trials"], outcome, f"`{where}.py`")
        found[told["attack"]] = f"| {' | '.join(row)} |"
    return found


def main(tests: Iterable[str]) -> int:
    """Run the tests and write the table; pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-m", "attack", f"--junitxml={report}", "-o", "junit_family=xunit1"]
        run = subprocess.run([sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT)
        rows = rows_of(report)
    text = PAGE.read_text()
    old = _TABLE.search(text)
    assert old is not None, f"{PAGE}: no place for the table"
    lines = {row[1]: row[0] for row in _ROW.finditer(old[0])} | rows
    table = "\n".join([HEAD, *(lines[name] for name in sorted(lines.keys() - {"attack", "---"}))])
    commit = _said("git", "rev-parse", "--short", "HEAD")
    made = f"Last run on {date.today()} at commit {commit}, Python {platform.python_version()}."
    PAGE.write_text(_TABLE.sub(lambda _: f"\n{made}\n\n{table}\n\n", text))
    return run.returncode


def _said(*words: str) -> str:
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
