"""`foundation rescore`: a results file in, a new one out, without running any model."""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_parser, add_shards_option, positive
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation rescore records/tiny.json --metrics l2re_frame_1,valid_frames --output again.json
  foundation rescore records/tiny.json --aggregate median --output median.json
  foundation rescore records/tiny.json --metrics spectral_high,drift_mass --shards shards/ \\
      --output spectra.json

The samples beside the results give other aggregations, and metrics of the error per frame.
Any other metric needs the shards, and predictions that `evaluate --save-predictions` wrote.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `rescore` to the console."""
    parser = add_parser(subparsers, "rescore", SUMMARIES["rescore"], _EXAMPLE)
    parser.add_argument("record", type=Path, metavar="RECORD.json", help="results file to read")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.json", help="results file to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--metrics", default="", metavar="M[,M]", help="further metrics, by comma")
    parser.add_argument("--aggregate", choices=("mean", "median"), help="as it was by default")
    parser.add_argument("--keys", metavar="PATTERN", help="only trajectories of such keys: *-0000")
    parser.add_argument("--resamples", type=positive, metavar="N", help="draws of the bootstrap")
    add_shards_option(parser, "the shards of the records", required=False)
    parser.add_argument("--json", action="store_true", help="print the records instead of a table")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from launchers.work.rescore import run

    run(options)
