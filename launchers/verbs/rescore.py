"""`foundation rescore`: a results file in, a new one out, without running any model."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_shards.errors import UserError
from evaluation.harness.rescore import Rescoring, rescore
from evaluation.records.record import samples_path
from evaluation.records.results import check_writable, save_results
from evaluation.records.table import result_table
from launchers.console.arguments import Subparsers, add_parser, add_shards_option, positive
from launchers.console.progress import progress, say
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
    if options.output.resolve() == options.record.resolve():
        raise UserError(f"{options.output}: is the file to read; choose another --output")
    check_writable(options.output, options.overwrite)
    wanted = Rescoring(
        metrics=tuple(name.strip() for name in options.metrics.split(",") if name.strip()),
        aggregation=options.aggregate,
        keys=options.keys,
        resamples=options.resamples,
    )

    def watch(positions: Sequence[int]) -> Iterator[int]:
        return progress(positions, total=len(positions), label="rescore", unit="record")

    judged = rescore(options.record, wanted, options.shards, watch)
    for name in wanted.metrics:
        if not any(name in record.scores for record, samples in judged):
            say(f"{name} applies to none of these tasks")
    save_results(options.output, judged)
    if options.json:
        print(options.output.read_text(), end="")
        return
    print(result_table([record for record, samples in judged]))
    print(f"\nresults: {options.output}\nper sample: {samples_path(options.output)}")
