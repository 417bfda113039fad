"""`foundation shards`: generate, verify and describe folders of shards."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias, get_args

from data_shards.card import CorpusCard, Split
from data_shards.catalogue import card_names, load_card
from data_shards.corpus import check_size
from data_shards.errors import UserError
from data_shards.manifest import (
    MANIFEST,
    CorpusEntry,
    Manifest,
    Provenance,
    Storage,
    read_manifest,
)
from data_shards.tar import ShardError
from data_shards.trajectory import Trajectory
from data_shards.verify import Report, verify
from launchers.progress import progress
from launchers.verbs import SUMMARIES

_SHARDS_EPILOG = """example:
  foundation shards generate pdebench_swe fno_ns_1e-3 --out shards --trajectories 100
  foundation shards verify shards
  foundation shards info shards
"""
_GENERATE_EPILOG = """examples:
  foundation shards generate all --out shards --trajectories 20 --resolution 64
  foundation shards generate pdebench_swe --out shards --split test
  foundation shards generate cfdbench --out shards --trajectories 500 --seed 1 --overwrite

A split that is already there as asked is skipped, so a killed run continues with
the first split it had not finished. Known corpora:
  {corpora}
"""
_VERIFY_EPILOG = """examples:
  foundation shards verify shards           # checksums, headers, shapes, finite values
  foundation shards verify shards --quick   # only that all shards are there and of full size

Exit code 0 if all is well, 2 if there is a fault.
"""
_INFO_EPILOG = """examples:
  foundation shards info shards
  foundation shards info shards --json | jq '.entries[].statistics'
"""

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_verb(subparsers: Subparsers) -> None:
    """Add `shards` with its own verbs to the console."""
    shards = _add_parser(subparsers, "shards", SUMMARIES["shards"], _SHARDS_EPILOG)
    inner = shards.add_subparsers(dest="shards_verb", required=True, metavar="VERB")
    _add_generate(inner)
    summary = "check a folder of shards and name every fault"
    check = _add_parser(inner, "verify", summary, _VERIFY_EPILOG)
    check.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    check.add_argument("--quick", action="store_true", help="check presence and sizes only")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=_verify)
    summary = "list the corpora in a folder of shards, with channel statistics"
    info = _add_parser(inner, "info", summary, _INFO_EPILOG)
    info.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    info.add_argument("--json", action="store_true", help="print the manifest as JSON")
    info.set_defaults(run=_info)


def _add_parser(
    subparsers: Subparsers, name: str, summary: str, epilog: str
) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_generate(subparsers: Subparsers) -> None:
    summary = "simulate corpora and write them as shards"
    epilog = _GENERATE_EPILOG.format(corpora="\n  ".join(card_names()))
    parser = _add_parser(subparsers, "generate", summary, epilog)
    add = parser.add_argument
    add("corpora", nargs="+", metavar="CORPUS", help="names of corpora, or all")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the shards")
    add(
        "--trajectories",
        type=_positive,
        metavar="N",
        help="number of trajectories per corpus (default: the published number, on the card)",
    )
    add("--split", choices=get_args(Split), default="train", help="default: train")
    add(
        "--resolution",
        type=_positive,
        metavar="R",
        help="grid points per side (default: the corpus's own, on the card)",
    )
    add("--seed", type=int, default=0, metavar="S", help="seed of the trajectories (default: 0)")
    add(
        "--workers",
        type=_positive,
        default=len(os.sched_getaffinity(0)),
        metavar="W",
        help="processes that simulate (default: one per core, %(default)s here)",
    )
    add(
        "--storage",
        choices=get_args(Storage),
        default="float32",
        help="type of the stored fields; float16 halves the size (default: float32)",
    )
    add(
        "--shard-mib",
        type=_positive,
        default=1024,
        metavar="M",
        help="close a shard before it grows beyond this many MiB (default: %(default)s)",
    )
    add(
        "--overwrite", action="store_true", help="replace a split that was made with other settings"
    )
    parser.set_defaults(run=_generate)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


@dataclass(frozen=True)
class _Order:
    """One split of one corpus to be made."""

    card: CorpusCard
    split: Split
    count: int
    resolution: int
    storage: Storage
    provenance: Provenance

    def matches(self, entry: CorpusEntry) -> bool:
        """Whether an entry is what this order would give."""
        ours = (self.count, self.resolution, self.storage, self.provenance)
        theirs = (entry.count, entry.resolution, entry.storage, entry.provenance)
        options = self.card.generator_options == entry.card.generator_options
        return ours == theirs and options

    def __str__(self) -> str:
        return f"{self.card.name} {self.split}"


def _generate(options: argparse.Namespace) -> None:
    names = card_names() if "all" in options.corpora else list(dict.fromkeys(options.corpora))
    orders = [_order(load_card(name), options) for name in names]
    there = _manifest_or_empty(options.out)
    # All refusals come before the first simulation: the last corpus may be hours away.
    pending = [order for order in orders if not _is_there(order, there, options)]
    for order in orders:
        if order not in pending:
            print(f"{order}: already in {options.out}, skipped", file=sys.stderr)
    if pending:
        # Solvers take seconds to import; the console's other verbs need none of them.
        from data_shards.generate.driver import worker_pool

        with worker_pool(options.workers) as pool:
            for order in pending:
                _write(order, options, pool)


def _order(card: CorpusCard, options: argparse.Namespace) -> _Order:
    if card.generator is None:
        raise UserError(
            f"{card.name} has no generator; convert its published files with "
            f"`foundation shards convert {card.name} --raw PATH --out {options.out}`"
        )
    count = options.trajectories or card.splits.get(options.split, 0)
    if count < 1:
        raise UserError(
            f"{card.name}: its card publishes no {options.split} split; say how many trajectories "
            "with --trajectories N"
        )
    return _Order(
        card=card,
        split=options.split,
        count=count,
        resolution=options.resolution or card.native_grid[-1],
        storage=options.storage,
        provenance=Provenance(producer=card.generator, version=card.version, seed=options.seed),
    )


def _manifest_or_empty(folder: Path) -> Manifest:
    return read_manifest(folder) if (folder / MANIFEST).exists() else Manifest()


def _is_there(order: _Order, manifest: Manifest, options: argparse.Namespace) -> bool:
    """Whether the folder already holds an order.

    Raises:
        UserError: it holds something else under this name, and may not be overwritten.
    """
    entry = manifest.find(order.card.name, order.split)
    if entry is None:
        return False
    if order.matches(entry):
        try:
            for record in entry.shards:
                check_size(options.out, record)
        except ShardError as error:
            print(f"{order}: {error}", file=sys.stderr)
            return False
        return True
    if not options.overwrite:
        raise UserError(
            f"{options.out} holds another {order}: {_settings(entry)}, not {_settings(order)}; "
            "add --overwrite to replace it, or choose another --out"
        )
    return False


def _settings(made: _Order | CorpusEntry) -> str:
    provenance = made.provenance
    return (
        f"{made.count} trajectories at {made.resolution}x{made.resolution} {made.storage} by "
        f"{provenance.producer} version {provenance.version}, seed {provenance.seed}"
    )


def _write(order: _Order, options: argparse.Namespace, pool: Executor | None) -> None:
    from data_shards.generate.driver import generate_corpus
    from data_shards.writer import write_corpus

    print(f"{order}: {_settings(order)}, {options.workers} workers", file=sys.stderr)

    def trajectories_from(first: int) -> Iterator[Trajectory]:
        trajectories = generate_corpus(
            order.card,
            split=order.split,
            count=order.count,
            resolution=order.resolution,
            seed=options.seed,
            pool=pool,
            first=first,
        )
        return progress(trajectories, total=order.count, label=str(order), unit="trajectories")

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
    print(f"{order}: {len(entry.shards)} shards, {_mebibytes(entry.bytes)}", file=sys.stderr)


def _verify(options: argparse.Namespace) -> None:
    report = verify(
        options.folder,
        deep=not options.quick,
        watch=lambda shards: progress(shards, total=len(shards), label="verify", unit="shards"),
    )
    if options.json:
        print(json.dumps({"ok": report.ok, **asdict(report)}, indent=1))
    else:
        _print_report(report)
    if not report.ok:
        raise UserError(f"{options.folder}: {len(report.faults)} faults in the shards")


def _print_report(report: Report) -> None:
    for fault in report.faults:
        print(f"{fault.shard}: {fault.message}")
    checked = "all bytes read" if report.deep else "sizes only"
    print(
        f"{report.shards} shards, {report.trajectories} trajectories, {_mebibytes(report.bytes)}, "
        f"{checked}: {len(report.faults) or 'no'} faults"
    )


def _info(options: argparse.Namespace) -> None:
    manifest = read_manifest(options.folder)
    if options.json:
        print(manifest.model_dump_json(indent=1))
        return
    for entry in manifest.entries:
        size = f"{entry.frames} frames of {'x'.join(map(str, entry.grid))}"
        print(f"{entry.corpus} {entry.split}: {entry.card.title}")
        print(f"  {_settings(entry)}")
        print(f"  {size}, {len(entry.shards)} shards, {_mebibytes(entry.bytes)}")
        print(f"  data {entry.fingerprint[:16]}")
        for channel, values in zip(entry.card.channels, entry.statistics, strict=True):
            print(
                f"  {f'{channel.name} [{channel.unit}]':<20} mean {values.mean:<11.4g} "
                f"std {values.std:<11.4g} min {values.min:<11.4g} max {values.max:.4g}"
            )


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
