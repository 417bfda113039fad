"""What `foundation rescore` does: aggregate samples that are there, measure kept predictions."""

import argparse
from collections.abc import Iterator, Sequence

from data_shards.errors import UserError
from evaluation.harness.rescore import Rescoring, rescore
from evaluation.records.record import samples_path
from evaluation.records.results import check_writable, save_results
from evaluation.records.table import result_table
from launchers.console.progress import progress, say


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
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
