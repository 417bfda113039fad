"""The reference of the packages: their modules in, one page of docstrings per package out.

The docstrings are read by mkdocstrings, without an import; here stands only which
modules there are.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from generate.sources import ROOT

PACKAGES = ("foundation", "evaluation", "data_shards")


def pages() -> dict[str, str]:
    """Pages by path, in the order of the packages."""
    return {f"reference/python/{name}.md": _page(name) for name in names()}


def names() -> list[str]:
    """Packages with a module that says something, inner ones by their dotted names."""
    found = []
    for top in PACKAGES:
        folders = [ROOT / top, *sorted(p.parent for p in (ROOT / top).glob("*/**/__init__.py"))]
        found += [_dotted(folder) for folder in folders if _says_something(folder)]
    return found


def _page(package: str) -> str:
    folder = ROOT.joinpath(*package.split("."))
    modules = [_dotted(path.with_suffix("")) for path in _modules(folder)]
    parts = [f"# {package}"]
    if _docstring(folder / "__init__.py"):
        parts.append(f"::: {package}\n    options: {{show_root_heading: false}}")
    parts += [f"::: {module}" for module in modules]
    return "\n\n".join(parts) + "\n"


def _says_something(folder: Path) -> bool:
    return any(_modules(folder)) or bool(_docstring(folder / "__init__.py"))


def _modules(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_") and _docstring(path):
            yield path


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()))


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parts)
