"""Every command that a how-to shows is one that its parser takes."""

import ast
from pathlib import Path

import pytest
from how_to import ORDER, PAGES, blocks

from launchers import finetune, pretrain
from launchers.cli import build_parser

SCRIPTS = {"pretrain.py": pretrain, "pretrain.sh": pretrain, "finetune.py": finetune}
SHELL = {"mkdir", "cp", "tail"}
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
    scripts = [n for n, word in enumerate(command) if Path(word).name in SCRIPTS]
    if command[0] == "foundation":
        options, rest = build_parser(command[1]).parse_known_args(command[1:])
        assert callable(options.run)
    elif scripts:
        parser = SCRIPTS[Path(command[scripts[0]]).name].build_parser()
        options, rest = parser.parse_known_args(command[scripts[0] + 1 :])
        assert options.output
    else:
        assert command[0] in SHELL
        rest = []
    # Overrides that follow options are handed on by `foundation` and the launchers alike.
    assert all("=" in word and not word.startswith("-") for word in rest)


def test_python_shown_is_python():
    shown = [block.text for block in blocks() if block.language == "python"]
    assert len(shown) >= 3
    assert all(ast.parse(text).body for text in shown)
