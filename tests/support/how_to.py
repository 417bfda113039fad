"""The commands that the how-tos show, as they stand in their code blocks."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
_FENCE = re.compile(r"^``` ?\{?\.?(sh|python)( \.(cluster|hub))?\}?$\n(.*?)^```$", re.M | re.S)
# In the order in which a reader goes through them.
ORDER = (
    *("corpora", "pretrain", "scale", "resume", "evaluate", "few-shot"),
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
