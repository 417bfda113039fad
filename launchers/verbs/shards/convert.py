"""`foundation shards convert`: published raw files in, shards out."""

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from data_shards.card import NAME_PATTERN, CorpusCard, PublishedFiles, Split
from data_shards.catalogue import card_names, load_card, read_card
from data_shards.errors import UserError
from data_shards.read import READERS
from data_shards.shards.manifest import MANIFEST, notes_on, read_manifest
from data_shards.shards.order import Order
from launchers.console.arguments import Subparsers, add_parser, key_value, positive
from launchers.console.progress import progress, say
from launchers.verbs.shards.generate import add_storage
from launchers.verbs.shards.order import mebibytes, pending, resumable, settings

if TYPE_CHECKING:
    from data_shards.read.convert import Plan
    from data_shards.read.raw import Raw

ItemT = TypeVar("ItemT")
_CUSTOM = "custom"  # the reader of a user's own files, and their name if they get none

SUMMARY = "write the published raw files of a corpus as shards"
EXAMPLES = """examples:
  foundation shards convert pdebench_swe --raw downloads --out shards
  foundation shards convert pdebench_swe --raw downloads/2D_rdb_NA_NA.h5 --out shards --split test
  foundation shards convert fno_ns_1e-3 --raw downloads --out shards --limit 20 --no-checksums
  foundation shards info pdebench_swe --yaml > own.yaml              # edit it, then:
  foundation shards convert pdebench_swe --card own.yaml --raw mine.hdf5 --out shards
  foundation shards convert elliptic_poisson --raw poisson --out shards   # and rungs of its ladder:
  foundation shards convert poisson_anisotropy_7.5 --raw poisson_5_10 --out shards
  foundation shards convert rayleigh --format the_well --raw well/data --out shards
  foundation shards convert custom --raw run_0.npz run_1.npz --out shards    # your own
  foundation shards convert wake --format custom --option axes=t,y,x --raw wake/ --out shards

`custom` takes your own simulations in any format that `foundation predict` takes, as files or
as one folder; --option axes=..., channels=..., mask=..., boundary=... say what it cannot know.
They make the train split unless --split says another.

A split that is already there as asked is skipped; one that was stopped goes on where it was.
Raw files of the same names and sizes are taken for the same ones; --overwrite reads them again.
Trajectories keep the order of the files, which may be sorted (the elliptic ones are, by the
sparsity of the source): training shuffles them, --limit takes the first ones.
Of compressible and vorticity files it is told which of their authors' programs made them.
Files are read block by block, so memory does not grow with them. --raw is the folder that
holds these files, or the one file itself under any name:
  {files}
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `convert` to `foundation shards`."""
    parser = add_parser(subparsers, "convert", SUMMARY, EXAMPLES.format(files=_wanted_files()))
    add = parser.add_argument
    add("corpus", metavar="CORPUS", help="name of the corpus")
    add(
        "--raw",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="folder of the files, or the file; or several files of your own",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the shards")
    add(
        "--split",
        nargs="+",
        action="extend",
        choices=get_args(Split),
        metavar="S",
        help="train, validation, test, or several (default: all that the card names)",
    )
    add(
        "--card",
        type=Path,
        metavar="FILE.yaml",
        help="a card of your own instead of the shipped one; CORPUS is the name that it says",
    )
    add(
        "--format",
        metavar="READER",
        help=f"read with another reader than the card's: {', '.join(READERS)}",
    )
    add(
        "--option",
        type=key_value,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the reader, over the card's; may be repeated",
    )
    add("--limit", type=positive, metavar="N", help="only the first N trajectories of each split")
    add(
        "--resolution",
        type=positive,
        metavar="R",
        help="resize to R cells along x: means over blocks where R divides the grid of the files, "
        "bilinear elsewhere (default: their grid)",
    )
    add(
        "--no-checksums",
        action="store_true",
        help="do not compare the files with their published md5 first",
    )
    add_storage(parser)
    parser.set_defaults(run=_run)


def _wanted_files() -> str:
    lines = []
    width = max(map(len, card_names()), default=0)
    for name in card_names():
        published = load_card(name).published
        if published is not None:
            files = ", ".join(file.name for file in published.files) or "see its card"
            lines.append(
                f"{name:<{width}} {files}" + (f"  ({published.url})" if published.url else "")
            )
    return "\n  ".join(lines) or "(no card names any)"


@dataclass(frozen=True)
class _Watch:
    """Progress that says how much of a stopped run was taken up."""

    order: Order

    def __call__(
        self, items: Iterable[ItemT], *, total: int, label: str, unit: str = "it"
    ) -> Iterable[ItemT]:
        if unit != "trajectories":
            return progress(items, total=total, label=label, unit=unit)
        done = self.order.count - total
        if done > 0:
            say(f"{self.order}: taken up after {done} trajectories")
        return progress(items, total=self.order.count, label=label, unit=unit, done=done)


def _run(options: argparse.Namespace) -> None:
    options.raw = options.raw[0] if len(options.raw) == 1 else tuple(options.raw)
    if options.corpus == _CUSTOM and options.card is None:
        options.format = options.format or _CUSTOM
    card = _card(options)
    published = card.published
    named = [] if published is None else published.splits
    splits = options.split or [split for split in get_args(Split) if split in named]
    if not splits:
        splits = [split for split in get_args(Split) if card.splits.get(split)]
    plans = {split: _plan(card, split, options) for split in dict.fromkeys(splits)}
    for note in dict.fromkeys(note for planned in plans.values() for note in planned.notes):
        say(f"{card.name}: {note}")
    orders = [
        Order(card, split, planned.count, options.storage, planned.provenance)
        for split, planned in plans.items()
    ]
    missing = pending(orders, options.out, options.overwrite)
    for line in _program(missing[0], options) if missing else ():
        say(f"{card.name}: {line}")
    for order in missing:
        if not plans[order.split].split_known:
            _warn_of_twins(order, options.out)
    with resumable():
        for order in missing:
            if pending([order], options.out, options.overwrite):  # no other made it meanwhile
                _write(order, options)


def _program(order: Order, options: argparse.Namespace) -> tuple[str, ...]:
    """What the fields of the files say of the program that made them."""
    from data_shards.read.convert import program_of

    return program_of(order.card, order.split, options.raw, limit=options.limit)


def _write(order: Order, options: argparse.Namespace) -> None:
    from data_shards.read.convert import convert

    say(f"{order}: {settings(order)}")
    entry = convert(
        order.card,
        order.split,
        options.raw,
        options.out,
        limit=options.limit,
        storage=options.storage,
        shard_bytes=options.shard_mib << 20,
        resolution=options.resolution,
        checksums=not options.no_checksums,
        watch=_Watch(order),
    )
    grid = "x".join(map(str, entry.grid))
    say(f"{order}: {grid}, {len(entry.shards)} shards, {mebibytes(entry.bytes)}")
    for note in notes_on(entry):
        say(note)


def _card(options: argparse.Namespace) -> CorpusCard:
    """The card to convert with: shipped, the user's or drafted from the files, then amended.

    Raises:
        UserError: no such card, or it names nothing that could be read.
    """
    card = _unamended_card(options)
    if options.format is None and not options.option:
        return card
    published = card.published or PublishedFiles(reader=options.format or "")
    reader = published.reader if options.format is None else options.format
    if not reader:
        raise UserError(f"{card.name}: its card names no reader; say which with --format READER")
    own = published.options if reader == published.reader else {}
    files = published.files
    if reader != published.reader:  # checksums are those of the files that the card's own reads
        files = tuple(file.model_copy(update={"md5": None}) for file in files)
    changes = {"reader": reader, "options": {**own, **dict(options.option)}, "files": files}
    return card.model_copy(update={"published": published.model_copy(update=changes)})


def _unamended_card(options: argparse.Namespace) -> CorpusCard:
    if options.card is not None:
        card = read_card(options.card)
        if card.name != options.corpus:
            raise UserError(
                f"{options.card}: is the card of {card.name!r}, not of {options.corpus!r}; give "
                "one of the two names"
            )
        return card
    drafted = None
    if options.corpus not in card_names() and options.format is not None:
        drafted = _drafted(options.format, options.raw, options.corpus, dict(options.option))
    return drafted or load_card(options.corpus)


def _drafted(reader: str, raw: "Raw", name: str, options: dict[str, Any]) -> CorpusCard | None:
    """The card that a reader of self-describing files draws up, None if it cannot."""
    from importlib import import_module

    from data_shards.errors import unknown_name

    if reader not in READERS:
        raise unknown_name("reader", reader, READERS)
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            f"corpus name {name!r}: wanted letters, digits and any of . _ + - (a letter or digit "
            "first), as it becomes part of file names"
        )
    try:
        draft: Any = import_module(f"data_shards.read.{reader}").draft_card
    except (ModuleNotFoundError, AttributeError):
        return None
    card: CorpusCard = draft(raw, name, options) if reader == _CUSTOM else draft(raw, name)
    return card


def _plan(card: CorpusCard, split: Split, options: argparse.Namespace) -> "Plan":
    """What a conversion would give.

    Raises:
        UserError: the files cannot be read so, or do not say which of several splits they are.
    """
    from data_shards.read.convert import plan

    planned = plan(card, split, options.raw, limit=options.limit, resolution=options.resolution)
    if not planned.split_known and len(set(options.split or ())) != 1:
        raise UserError(
            f"{options.raw}: does not say which split it is, so every split would hold the same "
            "trajectories; say the one that it is with --split, e.g. --split train"
        )
    return planned


def _warn_of_twins(order: Order, out: Path) -> None:
    """Say where another split was made from raw files of the same names and sizes."""
    there = read_manifest(out).entries if (out / MANIFEST).exists() else ()
    ours = [(source.name, source.bytes) for source in order.provenance.sources]
    for entry in there:
        theirs = [(source.name, source.bytes) for source in entry.provenance.sources]
        if entry.corpus == order.card.name and entry.split != order.split and ours == theirs:
            say(
                f"{order}: the {entry.split} split in {out} was made from files of the same names "
                "and sizes; if they are the same, both splits hold the same trajectories"
            )
