"""The commands that the how-tos show, as they stand in their code blocks, and what parses them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from launchers import finetune, pretrain
from launchers.cli import build_parser

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
_FENCE = re.compile(r"^``` ?\{?\.?(sh|python)( \.(cluster|hub))?\}?$\n(.*?)^```$", re.M | re.S)
_SCRIPTS = {"pretrain.py": pretrain, "pretrain.sh": pretrain, "finetune.py": finetune}
_SHELL = {"mkdir", "cp", "tail"}
# In the order in which a reader goes through them.
ORDER = (
    *("corpora", "pretrain", "scale", "resume", "evaluate", "few-shot", "compare"),
    *("forecast", "finetune", "share", "published-weights", "task"),
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


def blocks() -> list[Block]:
    """All blocks of all how-tos, in order."""
    return [
        Block(page, found[1], found[3] or "", found[4])
        for page in ORDER
        for found in _FENCE.finditer((PAGES / "how-to" / f"{page}.md").read_text())
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
