"""What an earlier run has done already: a results file in, records that can be kept out.

A record is kept iff checkpoint, terms of the task, data and samples are those
that are asked for now; batch size, machine and date may differ.
"""

from pathlib import Path

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.compatible import windows_of
from evaluation.harness.forecaster import Forecaster
from evaluation.harness.runner import RunSettings
from evaluation.records.record import Identity, Record, data_of, predictions_path
from evaluation.records.results import read_results
from evaluation.records.samples import SampleValues, read_samples
from evaluation.tasks.task import Task

Judged = tuple[Record, SampleValues]


def read_judged(output: Path) -> list[Judged]:
    """All records of an earlier run with their samples; none if there was no run.

    Raises:
        UserError: the file is there but is not a whole results file with its samples.
    """
    if not output.exists():
        return []
    try:
        results = read_results(output)
        if results is None:
            raise UserError("it holds no records")
        samples = output.parent / results.samples_file
        records = results.records
        return [(record, read_samples(samples, i, record)) for i, record in enumerate(records)]
    except UserError as error:
        raise UserError(
            f"{output}: exists already and cannot be taken up ({error}); pass --overwrite or "
            "choose another name"
        ) from None


def asked_identity(
    forecaster: Forecaster,
    task: Task,
    corpus: ShardedCorpus,
    settings: RunSettings,
    known: ShardedCorpus | None = None,
) -> Identity:
    """The identity that a record would have if it were measured now."""
    samples = len(windows_of(task, corpus, settings.limit))
    data = data_of(corpus.fingerprint, None if known is None else known.fingerprint)
    return forecaster.facts.fingerprint, task.hash, data, samples


def is_whole(output: Path, record: Record, settings: RunSettings) -> bool:
    """Whether a record has all that is asked for beside its scores."""
    return (
        settings.predictions is None or predictions_path(output, record.model, record.task).exists()
    )


def renamed(judged: Judged, forecaster: Forecaster, task: Task) -> Judged:
    """A kept record under today's name and description."""
    record, samples = judged
    return record.model_copy(update={"model": forecaster.facts, "task": task}), samples
