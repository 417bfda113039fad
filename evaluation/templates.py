"""Pages from templates: a folder of .html files in, the environment that fills them out.

Whatever a template puts into a page is escaped, so that a name with markup stays a name. What
is markup already says so by its type; of what comes from outside a template, only drawings do
(`plots.inline_svg`).
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def templates(folder: Path) -> Environment:
    """The templates of a folder; in them, a name that nobody gave is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
