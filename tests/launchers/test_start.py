"""What a verb imports before it works: options, names and cards need no network and no solver."""

import subprocess
import sys
from pathlib import Path

import pytest
from parsers import walk

import foundation
from launchers.cli import build_parser
from launchers.verbs import SUMMARIES

# Each takes from some tenths of a second to seconds; torch alone two.
HEAVY = {
    *("torch", "deepspeed", "numba", "scipy.optimize", "matplotlib", "jinja2"),
    *("datasets", "webdataset", "huggingface_hub", "tensorboard"),
}
BOARD = {"matplotlib", "jinja2", "scipy.optimize"}  # it draws
# A command line at a time; what it ended with, and which of the named modules it left imported.
PROGRAM = """
import sys
from launchers.cli import main
heavy, *lines = [line.split(chr(31)) for line in sys.argv[1:]]
for words in lines:
    try:
        code = main(words)
    except SystemExit as stopped:
        code = stopped.code
    print("ended:", code, *sorted(set(heavy) & set(sys.modules)), file=sys.stderr)
"""


def ended(*lines: list[str], heavy: set[str] = HEAVY) -> list[str]:
    """Command lines in one new process: code and heavy modules imported until then, of each."""
    texts = [chr(31).join(map(str, words)) for words in (sorted(heavy), *lines)]
    program = [sys.executable, "-c", PROGRAM, *texts]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    return [line.removeprefix("ended: ") for line in said if line.startswith("ended: ")]


@pytest.mark.parametrize("verb", SUMMARIES)
def test_a_verb_explains_itself_and_refuses_words_without_a_network(verb):
    """Every verb of the console, and every verb of its own."""
    (top,) = [parser for path, parser in walk(build_parser(verb)) if path == (verb,)]
    paths = [[verb, *path] for path, _ in walk(top)]
    helps = [[*path, "--help"] for path in paths]
    wrong = [[*path, "--no-such-option"] for path in paths]
    assert ended(*helps, *wrong) == ["0"] * len(paths) + ["2"] * len(paths)


def test_no_verb_and_a_wrong_one_need_nothing():
    assert ended(["--help"], ["--version"], [], ["evaluat"]) == ["0", "0", "2", "2"]


def test_lists_and_shards_are_read_without_a_network(waves):
    lines = (
        ["tasks"],
        ["tasks", "--json"],
        ["tasks", "--metrics"],
        ["shards", "list"],
        ["shards", "info", waves],
        ["shards", "verify", waves],
        ["plan", "debug", "--zero", "9"],
        ["evaluate", "floor:persistence"],
    )
    assert ended(*lines) == ["0"] * 6 + ["2"] * 2


def test_a_board_is_made_of_records_without_a_network(tmp_path):
    records = next((Path(foundation.__file__).parent / "bundled").glob("*/records"))
    line = ["leaderboard", records, "--output", tmp_path / "board"]
    assert ended(line, heavy=HEAVY - BOARD) == ["0"]


def test_what_builds_networks_is_told_apart():
    """The list above is of names that are really imported where they are needed."""
    assert "torch" in ended(["plan", "debug"])[0]
