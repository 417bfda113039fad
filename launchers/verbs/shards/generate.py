"""`foundation shards generate`: simulate corpora and write them as shards."""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from data_shards.card import CorpusCard, ProfileName, Split
from data_shards.catalogue import EVERYTHING, card_names, expand, ladder_names, load_card
from data_shards.errors import UserError
from data_shards.handbook import GROUPS
from data_shards.shards.manifest import Provenance, Storage
from data_shards.shards.order import Order
from data_shards.trajectory import Trajectory
from launchers.console.arguments import Subparsers, add_parser, not_negative, positive
from launchers.console.progress import Overall, progress, say
from launchers.verbs.shards.order import mebibytes, pending, resumable, settings

if TYPE_CHECKING:
    from data_shards.generate.driver import InTurn

SUMMARY = "simulate corpora and write them as shards"
EXAMPLES = """examples:
  foundation shards generate all --profile small --out shards         # minutes, 64 cells a side
  foundation shards generate pdebench_swe fno_ns_1e-3 --out shards    # published size
  foundation shards generate mixture_6 --out shards --split train test --trajectories 100
  foundation shards generate cfdbench --out shards --seed 1 --overwrite
  foundation shards generate pdebench_cns_m0.1@2 mixture_6@earlier --out older   # cards of before

A split that is already there as asked is skipped; one that was stopped on the way goes on
where it was, with the same bytes in the end. Random streams belong to corpus, split, number
and seed alone: neither the workers nor the number of trajectories change a trajectory.
At published size a corpus takes from minutes to weeks of one core: data_shards/cards/README.md
has the seconds per trajectory.

names:
  {names}
`foundation shards list` says more about each.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `generate` to `foundation shards`."""
    parser = add_parser(subparsers, "generate", SUMMARY, EXAMPLES.format(names=_names()))
    add = parser.add_argument
    add("corpora", nargs="+", metavar="CORPUS", help="corpora, ladders, groups of them, or all")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the shards")
    add(
        "--profile",
        choices=get_args(ProfileName),
        default="published",
        help="size and fidelity: as published, or small for trials and tests (default: published)",
    )
    add(
        "--split",
        nargs="+",
        action="extend",
        choices=get_args(Split),
        metavar="S",
        help="train, validation, test, or several (default: all that the profile has)",
    )
    add(
        "--trajectories",
        type=positive,
        metavar="N",
        help="trajectories per split (default: the profile's)",
    )
    add(
        "--resolution",
        type=positive,
        metavar="R",
        help="cells along x of what is stored (default: the profile's)",
    )
    add("--seed", type=not_negative, default=0, metavar="S", help="of everything (default: 0)")
    add(
        "--workers",
        type=positive,
        default=len(os.sched_getaffinity(0)),
        metavar="W",
        help="processes that simulate (default: one per core, %(default)s here)",
    )
    add_storage(parser)
    parser.set_defaults(run=_run)


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Add the options of everything that writes shards."""
    add = parser.add_argument
    add(
        "--storage",
        choices=get_args(Storage),
        default="float32",
        help="type of the stored fields; float16 halves the size and rounds by 2e-4 of a field's "
        "norm (default: float32)",
    )
    add(
        "--shard-mib",
        type=positive,
        default=1024,
        metavar="M",
        help="close a shard before it grows beyond this many MiB (default: %(default)s)",
    )
    add(
        "--overwrite", action="store_true", help="replace a split that was made with other settings"
    )


def _names() -> str:
    generated = [name for name in card_names() if load_card(name).generator]
    lines = [
        ("corpora", generated),
        ("ladders", ladder_names()),
        ("groups", [EVERYTHING, *GROUPS]),
    ]
    return "\n  ".join(f"{kind}: {', '.join(names)}" for kind, names in lines if names)


def _run(options: argparse.Namespace) -> None:
    names = expand(options.corpora)
    orders = [order for name in names for order in _orders(name, options)]
    if not orders:
        raise UserError(
            f"{', '.join(options.corpora)}: nothing to generate; the corpora meant have no "
            "generator (`foundation shards list` says which do)"
        )
    missing = pending(orders, options.out, options.overwrite)
    if missing:
        with resumable():
            _write_all(missing, options)


def _orders(name: str, options: argparse.Namespace) -> list[Order]:
    card = load_card(name)
    if card.generator is None:
        message = (
            f"{name} has no generator; convert its published files with "
            f"`foundation shards convert {name} --raw PATH --out {options.out}`"
        )
        if name in options.corpora:
            raise UserError(message)
        say(f"left out: {message}")  # a group stands for what can be had of it
        return []
    counts = _counts(card, options.profile)
    splits = options.split or [split for split in get_args(Split) if counts.get(split)]
    return [_order(card, split, counts, options) for split in dict.fromkeys(splits)]


def _counts(card: CorpusCard, profile: ProfileName) -> Mapping[Split, int]:
    """Trajectories per split of a profile.

    Raises:
        UserError: the card does not have this profile.
    """
    known = card.profiles.get(profile)
    if known is None and profile != "published":
        raise UserError(
            f"{card.name}: its card has no profile {profile!r}; leave --profile out and say "
            "--trajectories and --resolution"
        )
    if known is None or known.trajectories is None:
        return card.splits
    return known.trajectories


def _order(
    card: CorpusCard, split: Split, counts: Mapping[Split, int], options: argparse.Namespace
) -> Order:
    count = options.trajectories or counts.get(split, 0)
    if count < 1:
        raise UserError(
            f"{card.name}: the profile {options.profile} has no {split} split; say how many "
            "trajectories with --trajectories N"
        )
    assert card.generator is not None
    return Order(
        card=card.at(options.profile),
        split=split,
        count=count,
        storage=options.storage,
        provenance=Provenance(
            producer=card.generator,
            version=card.version,
            seed=options.seed,
            grid=card.grid(_resolution(card, options)),
        ),
    )


def _resolution(card: CorpusCard, options: argparse.Namespace) -> int:
    """Cells along x: those asked for, the profile's, or the corpus's own."""
    profile = card.profiles.get(options.profile)
    resolution: int = options.resolution or (
        profile.resolution if profile else card.native_grid[-1]
    )
    return resolution


def _write_all(orders: list[Order], options: argparse.Namespace) -> None:
    # Solvers take seconds to import; the console's other verbs need none of them.
    from data_shards.generate.driver import InTurn, simulations, worker_pool

    series = [
        simulations(
            order.card,
            split=order.split,
            count=order.count,
            resolution=_resolution(order.card, options),
            seed=options.seed,
        )
        for order in orders
    ]
    total = sum(order.count for order in orders)
    label = f"all {len(orders)} splits"
    with (
        worker_pool(options.workers) as pool,
        Overall(label, total=total, unit="trajectories", bar=len(orders) > 1) as overall,
    ):
        in_turn = InTurn(series, pool)
        for number, order in enumerate(orders):
            if not pending([order], options.out, options.overwrite):  # made by another meanwhile
                for _ in overall.watch(in_turn.trajectories(number, order.count), order.count):
                    pass
                continue
            written = _write(order, number, in_turn, overall, options)
            say(written + (f"; {overall.line()}" if len(orders) > 1 else ""))


def _write(
    order: Order,
    number: int,
    in_turn: "InTurn",
    overall: Overall,
    options: argparse.Namespace,
) -> str:
    """Make one split; gives what it came to, in words."""
    from data_shards.shards.writer import write_corpus

    say(f"{order}: {settings(order)}, {options.workers} workers")

    def trajectories_from(first: int) -> Iterator[Trajectory]:
        if first:
            say(f"{order}: taken up after {first} trajectories")
        trajectories = overall.watch(in_turn.trajectories(number, first), done=first)
        return progress(
            trajectories, total=order.count, label=str(order), unit="trajectories", done=first
        )

    entry = write_corpus(
        trajectories_from,
        order.card,
        split=order.split,
        out=options.out,
        count=order.count,
        provenance=order.provenance,
        shard_bytes=options.shard_mib << 20,
        storage=order.storage,
    )
    return f"{order}: {len(entry.shards)} shards, {mebibytes(entry.bytes)}"
