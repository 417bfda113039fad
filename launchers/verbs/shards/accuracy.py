"""`foundation shards accuracy`: what generators cost and how far off a finer run they are."""

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from data_shards.atomic import replace_file
from data_shards.card import CorpusCard, ProfileName
from data_shards.catalogue import expand, load_card
from data_shards.errors import UserError
from launchers.console.arguments import Subparsers, add_parser, not_negative, positive
from launchers.console.progress import progress, say

SUMMARY = "measure what generators cost and how accurate they are"
EXAMPLES = """examples:
  foundation shards accuracy pdebench_swe --output accuracy.json
  foundation shards accuracy all --profile small --trajectories 3 --output accuracy.json

Every trajectory is simulated twice, as the profile says and on a finer grid with a smaller step;
the error is the relative L2 distance of the two. The file is saved after every trajectory.
"""
_RECORDED = ("studies", "generators", "accuracy.json")


def add_verb(subparsers: Subparsers) -> None:
    """Add `accuracy` to `foundation shards`."""
    parser = add_parser(subparsers, "accuracy", SUMMARY, EXAMPLES)
    add = parser.add_argument
    add("corpora", nargs="+", metavar="CORPUS", help="corpora, ladders, groups of them, or all")
    add(
        "--profile",
        nargs="+",
        choices=get_args(ProfileName),
        default=["published"],
        metavar="P",
        help="published, small or both (default: published)",
    )
    add(
        "--trajectories",
        type=positive,
        default=1,
        metavar="N",
        help="test trajectories of each corpus to average over (default: 1)",
    )
    add("--seed", type=not_negative, default=0, metavar="S", help="of the corpora (default: 0)")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--output", type=Path, required=True, metavar="FILE.json", help="results file to write")
    parser.set_defaults(run=_run)


def recorded() -> list[dict[str, Any]]:
    """The measurements that are kept with the project; none in an installation without them."""
    path = files("evaluation").joinpath(*_RECORDED)
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    records: list[dict[str, Any]] = content["records"] if isinstance(content, dict) else content
    return records


def _run(options: argparse.Namespace) -> None:
    names = expand(options.corpora)
    if options.output.exists() and not options.overwrite:
        raise UserError(f"{options.output}: exists; add --overwrite or choose another --output")
    if not options.output.parent.is_dir():
        raise UserError(f"{options.output.parent}: no such folder; make it first")
    # Solvers take seconds to import; what can be refused is refused before.
    from data_shards.generate.accuracy import REFINEMENTS, measure

    cards = _judged([load_card(name) for name in names], set(options.corpora), set(REFINEMENTS))
    runs = [
        (card, profile, index)
        for card in cards
        for profile in dict.fromkeys(options.profile)
        for index in range(options.trajectories)
    ]
    records: list[dict[str, Any]] = []
    for card, profile, index in progress(
        runs, total=len(runs), label="accuracy", unit="trajectories"
    ):
        record = measure(card, profile, index=index, seed=options.seed)
        records.append(record.model_dump(mode="json"))
        _save(options.output, records)
        worst = max(record.error.values())
        print(f"{card.name} {profile} {index}: {record.seconds:.2f} s, error {worst:.2e}")


def _judged(cards: Sequence[CorpusCard], named: set[str], generators: set[str]) -> list[CorpusCard]:
    """Those whose generator can be refined; says which are left out of a group.

    Raises:
        UserError: one that was asked for by its own name cannot be judged, or none can.
    """
    judged = []
    for card in cards:
        if card.generator in generators:
            judged.append(card)
            continue
        message = (
            f"{card.name}: its generator {card.generator!r} has no refined run to compare with"
        )
        if card.name in named:
            raise UserError(message)
        say(f"left out: {message}")
    if not judged:
        raise UserError(f"{', '.join(sorted(named))}: nothing to measure")
    return judged


def _save(path: Path, records: Sequence[dict[str, Any]]) -> None:
    replace_file(path, f"{json.dumps({'records': records}, indent=1)}\n".encode())
