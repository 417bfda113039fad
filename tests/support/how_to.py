"""The commands and files that the how-tos show, as they stand in their code blocks, and parsers."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from launchers import finetune, pretrain
from launchers.cli import build_parser

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
_FENCE = re.compile(r"^``` ?\{?\.?(sh|python)( \.(cluster|hub))?\}?$\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r'^```(python|yaml|diff) title="([^"]+)"$\n(.*?)^```$', re.M | re.S)
_SCRIPTS = {"pretrain.py": pretrain, "pretrain.sh": pretrain, "finetune.py": finetune}
_SHELL = {"mkdir", "cp", "tail", "python"}
# In the order in which a reader goes through them.
ORDER = (
    *("corpora", "pretrain", "scale", "resume", "evaluate", "foreign-models", "few-shot", "study"),
    *("forecast", "finetune", "own-files", "steady", "constraints", "ground-states", "boxes"),
    "share",
    *("published-weights", "task", "add-a-model"),
)


@dataclass(frozen=True)
class Block:
    """One code block; `where` says what it needs: "" nothing, "cluster", or "hub"."""

    page: str
    language: str
    where: str
    text: str

    def commands(self) -> list[list[str]]:
        """The words of every command of a shell block, without where its output goes."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [shlex.split(line.split(" > ")[0], comments=True) for line in lines if line.strip()]


def blocks(pages: Iterable[str] = ORDER) -> list[Block]:
    """All blocks of how-tos, in order; those of files are left out."""
    return [
        Block(page, found[1], found[3] or "", found[4])
        for page in pages
        for found in _FENCE.finditer(_text(page))
    ]


def rest_of(command: list[str]) -> list[str]:
    """What its parser leaves of a command: nothing but overrides if it is taken."""
    scripts = [n for n, word in enumerate(command) if Path(word).name in _SCRIPTS]
    if command[0] == "foundation":
        options, rest = build_parser(command[1]).parse_known_args(command[1:])
        assert callable(options.run)
        return rest
    if scripts:
        parser = _SCRIPTS[Path(command[scripts[0]]).name].build_parser()
        options, rest = parser.parse_known_args(command[scripts[0] + 1 :])
        assert options.output
        return rest
    assert command[0] in _SHELL
    return []


def write_files(page: str, folder: Path) -> list[str]:
    """Write the files that a page shows below a folder, and change those of which it shows a part.

    Returns:
        Their names.
    """
    shown = _FILE.findall(_text(page))
    for language, name, text in shown:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if language == "diff" and not path.exists():  # of a file that the folder has not: as it is
            path.write_text((ROOT / name).read_text())
        path.write_text(_changed(path.read_text(), text) if language == "diff" else text)
    return [name for _, name, _ in shown]


def _changed(whole: str, lines: str) -> str:
    """A file with some of its lines replaced; signs say which go and which come."""
    before, after = (
        "".join(line[1:] for line in lines.splitlines(keepends=True) if line[0] in signs)
        for signs in (" -", " +")
    )
    assert whole.count(before) == 1, f"{before!r} stands {whole.count(before)} times in the file"
    return whole.replace(before, after)


def _text(page: str) -> str:
    return (PAGES / "how-to" / f"{page}.md").read_text()
