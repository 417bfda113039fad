"""Every command that a how-to shows is one that its parser takes."""

import ast

import pytest
from how_to import ORDER, PAGES, blocks, rest_of

COMMANDS = [
    (block.page, command)
    for block in blocks()
    if block.language == "sh"
    for command in block.commands()
]


def test_the_order_names_all_how_tos():
    assert {f"{page}.md" for page in ORDER} | {"index.md"} == {
        path.name for path in (PAGES / "how-to").glob("*.md")
    }
    assert len(COMMANDS) > 35


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: str(value)[:60])
def test_command_is_taken_by_its_parser(page, command):
    # Overrides that follow options are handed on by `foundation` and the launchers alike.
    assert all("=" in word and not word.startswith("-") for word in rest_of(command))


def test_python_shown_is_python():
    shown = [block.text for block in blocks() if block.language == "python"]
    assert len(shown) >= 3
    assert all(ast.parse(text).body for text in shown)
