"""Hooks of mkdocs: makes the pages that come from other sources, and their navigation."""

import re
import tempfile
from pathlib import Path
from typing import Any

from generate import console, notebook, outputs, reference, sources, studies
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_INCLUDE = re.compile(r"<!-- include: (\S+) (#+ .+?) -->")
_BOARD = re.compile(r"<!-- board: (\w+) -->")
_made: dict[str, str | bytes] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make all pages first: the navigation lists them."""
    _made.clear()
    for page in sources.WHOLE:
        _made[page] = sources.whole_page(page)
    with tempfile.TemporaryDirectory() as boards:
        _made.update(studies.pages(Path(boards)))
    _made.update(console.pages())
    _made.update(reference.pages())
    _made.update(notebook.pages())
    config.nav = _filled(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, content in _made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Sections of other files, boards and outputs of commands, where a page asks for them."""
    markdown = _INCLUDE.sub(lambda found: sources.section(found[1], found[2]), markdown)
    markdown = _BOARD.sub(lambda found: _board(found[1]), markdown)
    return outputs.with_outputs(markdown)


def _board(study: str) -> str:
    with tempfile.TemporaryDirectory() as boards:
        return studies.board_of(study, Path(boards))


def _filled(nav: Any) -> Any:
    """The navigation with "<results>", "<console>" and "<python>" replaced by pages."""
    if isinstance(nav, list):
        return [_filled(item) for item in nav]
    if isinstance(nav, dict):
        return {key: _filled(value) for key, value in nav.items()}
    if nav == "<results>":
        return _pages_below("results/")
    if nav == "<console>":
        return _console()
    if nav == "<python>":
        return [{name: f"reference/python/{name}.md"} for name in reference.names()]
    return nav


def _pages_below(folder: str) -> list[str]:
    """Its pages by name, the overview first and the log last."""
    pages = [path for path in _made if path.startswith(folder) and path.endswith(".md")]
    return sorted(pages, key=lambda p: (p.endswith("log.md"), not p.endswith("index.md"), p))


def _console() -> list[Any]:
    pages = _pages_below("reference/console/")[1:]
    titles = [str(_made[page]).partition("\n")[0].removeprefix("# ") for page in pages]
    short = [re.sub(r"^(foundation |launchers/)", "", title) for title in titles]
    return ["reference/console/index.md", *({t: p} for t, p in zip(short, pages, strict=True))]
