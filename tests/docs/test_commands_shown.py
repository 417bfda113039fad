"""Every command that a how-to shows is one that its parser takes."""

import ast

import pytest
from how_to import ORDER, PAGES, blocks, rest_of, write_files

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


def test_changes_that_a_page_shows_fit_the_files_that_they_change(tmp_path):
    changed = write_files("add-a-model", tmp_path)
    registry = (tmp_path / "foundation/models/registry.py").read_text()
    assert changed.count("foundation/models/registry.py") == 2
    assert "stencil.StencilConfig" in registry
    compile(registry, "registry.py", "exec")
