"""`foundation shards verify`: every fault of a folder of shards, by name."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from data_shards.errors import UserError
from data_shards.shards.verify import Report, verify
from launchers.console.arguments import Subparsers, add_parser
from launchers.console.progress import progress
from launchers.verbs.shards.order import mebibytes

SUMMARY = "check a folder of shards and name every fault"
EXAMPLES = """examples:
  foundation shards verify shards           # checksums, headers, shapes, finite values
  foundation shards verify shards --quick   # only that all shards are there and of full size

Exit code 0 if all is well, 2 if there is a fault.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `verify` to `foundation shards`."""
    parser = add_parser(subparsers, "verify", SUMMARY, EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of shards")
    parser.add_argument("--quick", action="store_true", help="check presence and sizes only")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
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
    for note in report.notes:
        print(f"note: {note}")
    checked = "all bytes read" if report.deep else "sizes only"
    print(
        f"{report.shards} shards, {report.trajectories} trajectories, {mebibytes(report.bytes)}, "
        f"{checked}: {len(report.faults) or 'no'} faults"
    )
