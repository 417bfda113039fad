"""`foundation shards accuracy`: what generators cost and how far off a finer run they are."""

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from data_shards.card import ProfileName
from data_shards.catalogue import expand
from launchers.arguments import Subparsers, add_parser

SUMMARY = "measure what generators cost and how accurate they are"
EXAMPLES = """examples:
  foundation shards accuracy pdebench_swe --output accuracy.json
  foundation shards accuracy all --profile small --output accuracy.json
"""
_RECORD = ("studies", "generators", "accuracy.json")


def add_verb(subparsers: Subparsers) -> None:
    """Add `accuracy` to `foundation shards`."""
    parser = add_parser(subparsers, "accuracy", SUMMARY, EXAMPLES)
    add = parser.add_argument
    add("corpora", nargs="+", metavar="CORPUS", help="corpora, ladders, groups of them, or all")
    add("--profile", choices=get_args(ProfileName), default="published", help="default: published")
    add("--output", type=Path, required=True, metavar="FILE.json", help="results file to write")
    parser.set_defaults(run=_run)


def recorded() -> list[dict[str, Any]]:
    """The measurements that are kept with the project; none in an installation without them."""
    path = files("evaluation").joinpath(*_RECORD)
    if not path.is_file():
        return []
    records: list[dict[str, Any]] = json.loads(path.read_text())["records"]
    return records


def _run(options: argparse.Namespace) -> None:
    expand(options.corpora)
