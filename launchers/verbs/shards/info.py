"""`foundation shards info`: what a folder of shards holds, or what a corpus is."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from data_shards.card import ChannelStatistics, CorpusCard
from data_shards.catalogue import expand, load_card
from data_shards.errors import UserError
from data_shards.handbook import facts, protocol_text
from data_shards.shards.dataset_card import licence_of
from data_shards.shards.manifest import CorpusEntry, Manifest, notes_on, read_manifest
from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs.shards.order import mebibytes, settings

SUMMARY = "describe a folder of shards, or a corpus by its name"
EXAMPLES = """examples:
  foundation shards info shards                   # what is there, with channel statistics
  foundation shards info shards --json | jq '.entries[].statistics'
  foundation shards info shards --yaml            # statistics of training splits, for cards
  foundation shards info pdebench_swe             # the card of a corpus, a rung or a group
  foundation shards info pdebench_swe --yaml > own.yaml  # to edit, for `shards convert --card`

A folder comes first where a name means both.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `info` to `foundation shards`."""
    parser = add_parser(subparsers, "info", SUMMARY, EXAMPLES)
    parser.add_argument("target", metavar="DIR|NAME", help="folder of shards, or name of a corpus")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the manifest or cards as JSON")
    form.add_argument(
        "--yaml",
        action="store_true",
        help="print the whole card of a corpus, to edit; of a folder the statistics of each "
        "training split, as cards want them",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    folder = Path(options.target)
    names = [] if folder.is_dir() else _names(options.target)
    if names:
        cards = [load_card(name) for name in names]
        print(_cards_yaml(cards) if options.yaml else _cards_text(cards, options.json), end="")
        return
    manifest = read_manifest(folder)
    if options.json:
        print(manifest.model_dump_json(indent=1))
    elif options.yaml:
        print(_statistics_yaml(manifest), end="")
    else:
        _print_folder(manifest)


def _names(target: str) -> list[str]:
    """Corpora that a word stands for; none for what can only be a path.

    Raises:
        UserError: it is neither.
    """
    if any(sign in target for sign in "/\\~") or target in ("", ".", ".."):
        return []
    try:
        return expand([target])
    except UserError as error:
        raise UserError(f"{target}: no such folder, and {error}") from None


def _cards_text(cards: list[CorpusCard], as_json: bool) -> str:
    if as_json:
        return json.dumps([card.model_dump(mode="json") for card in cards], indent=1) + "\n"
    return "\n".join(f"## {card.name}\n\n{facts(card)}" for card in cards)


def _cards_yaml(cards: list[CorpusCard]) -> str:
    """Whole cards as they are written by hand, several as documents of one stream."""
    values = [card.model_dump(mode="json", exclude_defaults=True) for card in cards]
    return yaml.safe_dump_all(values, sort_keys=False, allow_unicode=True, width=96)


def _print_folder(manifest: Manifest) -> None:
    if not manifest.entries:
        print("no corpora")
    for entry in manifest.entries:
        for line in _entry_lines(entry):
            print(line)


def _entry_lines(entry: CorpusEntry) -> Iterable[str]:
    card, provenance = entry.card, entry.provenance
    names = " or ".join(matching_profiles(entry))
    profiles = f", profile {names}" if names else ""
    size = f"{entry.frames} frames of {'x'.join(map(str, entry.grid))}"
    window = protocol_text(card)
    yield f"{entry.corpus} {entry.split}: {card.title}"
    yield f"  {card.pde}; licence: {licence_of(entry)}"
    yield f"  {settings(entry)}{profiles}"
    yield f"  {size} ({window}), {len(entry.shards)} shards, {mebibytes(entry.bytes)}"
    for source in provenance.sources:
        proof = f"md5 {source.md5}" if source.md5 else "checksum not taken"
        yield f"  raw file {source.name}, {mebibytes(source.bytes)}, {proof}"
    yield f"  data {entry.fingerprint[:16]}"
    for channel, values in zip(card.channels, entry.statistics, strict=True):
        yield (
            f"  {f'{channel.name} [{channel.unit}]':<20} mean {values.mean:<11.4g} "
            f"std {values.std:<11.4g} min {values.min:<11.4g} max {values.max:.4g}"
        )
    yield from (f"  {note}" for note in notes_on(entry))


def matching_profiles(entry: CorpusEntry) -> list[str]:
    """Profiles of its card that an entry may be of: several where they differ in size alone.

    The number of trajectories decides between them, if it is that of one.
    """
    if entry.provenance.seed < 0:
        return []
    card = entry.card
    alike = {
        name: entry.count == (profile.trajectories or card.splits).get(entry.split)
        for name, profile in card.profiles.items()
        if card.at(name).generator_options == card.generator_options
        and card.grid(profile.resolution) == entry.grid
    }
    return [name for name, counts in alike.items() if counts or not any(alike.values())]


def _statistics_yaml(manifest: Manifest) -> str:
    """The `statistics` of cards, one block per corpus with a training split."""
    trained = [entry for entry in manifest.entries if entry.split == "train"]
    return "\n".join(
        f"# {entry.corpus}\nstatistics:\n" + "".join(map(_statistics_line, entry.statistics))
        for entry in trained
    )


def _statistics_line(values: ChannelStatistics) -> str:
    numbers = ", ".join(
        f"{key}: {_rounded(getattr(values, key), values.std)!r}"
        for key in ("mean", "std", "min", "max")
    )
    return f"  - {{name: {json.dumps(values.name)}, {numbers}}}\n"


def _rounded(value: float, spread: float) -> float:
    """Five digits; what rounding errors have left of a zero is one."""
    return 0.0 if abs(value) < 1e-6 * spread else float(f"{value:.5g}")
