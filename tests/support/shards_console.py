"""`foundation shards ...` within this process."""

import argparse
from pathlib import Path

import pytest
import yaml

from data_shards.card import CorpusCard
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


def write_card(path: Path, card: CorpusCard) -> None:
    """A card as a file that `--card` takes."""
    path.write_text(yaml.safe_dump(card.model_dump(mode="json")))
