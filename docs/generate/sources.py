"""Markdown that stands elsewhere in the repository: a file or a section in, a page out.

Links that lead to another file of the repository are turned to that file's page;
a link to a file without a page, or a heading that is gone, fails the build.
"""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Page -> its source.
WHOLE = {
    "corpora.md": "data_shards/cards/README.md",
    "reference/tasks.md": "evaluation/tasks/README.md",
    "reference/metrics.md": "evaluation/metrics/README.md",
    "reference/deepspeed.md": "ds_configs/README.md",
    "results/log.md": "evaluation/studies/LOG.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```|~~~)", re.MULTILINE)


def whole_page(page: str) -> str:
    """The source of a page of `WHOLE`, its links turned."""
    source = WHOLE[page]
    return turn_links((ROOT / source).read_text(), source, page)


def section(source: str, heading: str) -> str:
    """A section of a Markdown file, without its heading and with all below it.

    Raises:
        LookupError: there is no such heading.
    """
    level = len(heading) - len(heading.lstrip("#"))
    inside: list[str] | None = None
    fenced = False
    for line in (ROOT / source).read_text().splitlines():
        fenced ^= bool(_FENCE.match(line))
        if inside is not None and not fenced and re.match(rf"#{{1,{level}}} ", line):
            break
        if inside is not None:
            inside.append(line)
        elif line == heading:
            inside = []
    if inside is None:
        raise LookupError(f"{source} has no heading {heading!r}; a page of docs/ includes it")
    return "\n".join(inside).strip() + "\n"


def turn_links(text: str, source: str, page: str) -> str:
    """Links between files of the repository as links between pages.

    Raises:
        LookupError: a link to a file without a page.
    """
    pages = {path: name for name, path in WHOLE.items()}

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        study = re.fullmatch(r"evaluation/studies/(\w+)/README.md", target)
        found = f"results/{study[1]}.md" if study else pages.get(target)
        if found is None:
            raise LookupError(f"{source}: link to {target}, which has no page")
        relative = posixpath.relpath(found, posixpath.dirname(page) or ".")
        return f"[{link[1]}]({relative}{link[3] or ''})"

    return _LINK.sub(turned, text)
