"""`foundation shards list`: all corpora, groups and ladders, from their cards."""

import argparse
import json
from typing import Any

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, ladder_names, load_card, load_ladder
from data_shards.handbook import GROUPS, grid_text, page, splits_text
from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs.shards.accuracy import recorded

SUMMARY = "list all corpora, groups and ladders"
EXAMPLES = """examples:
  foundation shards list
  foundation shards list --json | jq -r '.corpora[] | select(.generator) | .name'
  foundation shards list --markdown > data_shards/cards/README.md

Any of these names goes to `foundation shards generate`; `foundation shards info NAME` says
everything that is known of one corpus.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `list` to `foundation shards`."""
    parser = add_parser(subparsers, "list", SUMMARY, EXAMPLES)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--markdown", action="store_true", help="print the page of the corpora")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(_everything(), indent=1))
    elif options.markdown:
        print(page(recorded()), end="")
    else:
        _print_corpora()


def _everything() -> dict[str, Any]:
    cards = [load_card(name) for name in card_names()]
    ladders = [load_ladder(name) for name in ladder_names()]
    rungs = [load_card(name) for ladder in ladders for name in ladder.rung_names()]
    return {
        "corpora": [card.model_dump(mode="json") for card in cards],
        "groups": {group: _members(cards, group) for group in GROUPS},
        "ladders": [ladder.model_dump(mode="json") for ladder in ladders],
        "rungs": [card.model_dump(mode="json") for card in rungs],
    }


def _members(cards: list[CorpusCard], group: str) -> list[str]:
    return [card.name for card in cards if group in card.groups]


def _print_corpora() -> None:
    cards = [load_card(name) for name in card_names()]
    width = max(len(card.name) for card in cards) + 2
    for card in cards:
        print(f"{card.name:<{width}}{card.title}")
        for line in _lines(card):
            print(f"{'':<{width}}{line}")
    print("\ngroups")
    for group, meaning in GROUPS.items():
        if members := _members(cards, group):
            print(f"  {group:<{width}}{meaning}\n  {'':<{width}}{', '.join(members)}")
    if ladder_names():
        print("\nladders")
    for name in ladder_names():
        ladder = load_ladder(name)
        print(f"  {name:<{width}}{ladder.title}\n  {'':<{width}}{', '.join(ladder.rung_names())}")


def _lines(card: CorpusCard) -> list[str]:
    channels = ", ".join(card.channel_names) + (" + obstacle" if card.mask_as_channel else "")
    origin = [
        f"generator {card.generator}" if card.generator else "",
        f"reader {card.published.reader}" if card.published else "",
    ]
    frames = f"{card.frames} frames, {card.rollout_frames} of them predicted"
    if card.frames == 1:
        frames = "steady"
    return [
        f"{card.pde}: {channels}",
        f"{grid_text(card.native_grid)}, {frames}; train / validation / test "
        f"{splits_text(card.splits)}",
        f"{', '.join(filter(None, origin))}; {card.license}",
    ]
