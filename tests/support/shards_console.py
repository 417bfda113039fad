"""`foundation shards ...` within this process."""

import argparse

import pytest

from launchers.verbs import shards


def console(*arguments):
    """Parse and run one command of `foundation shards`, errors unguarded."""
    parser = argparse.ArgumentParser(prog="foundation")
    shards.add_verb(parser.add_subparsers())
    options = parser.parse_args(["shards", *map(str, arguments)])
    return options.run(options)


def refused_by_parser(capsys, *arguments):
    """What the parser says while it exits with 2."""
    with pytest.raises(SystemExit) as exit_code:
        console(*arguments)
    assert exit_code.value.code == 2
    return str(capsys.readouterr().err)
