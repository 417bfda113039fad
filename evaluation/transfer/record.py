"""Records of transfer: one run of learning from a few trajectories, and a whole sweep of them.

One file per run, named by what was asked and by the fingerprint of everything
that decides it; it is written last, so that a run without one is not finished.
"""

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from data_shards.atomic import replace_file
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.untrusted import parse_json, read_text
from evaluation.records.record import Record, check_record
from evaluation.transfer.curve import EqualSize, Gain, Point, crossing, curve_of, gains

Source = Literal["pretrained", "scratch"]
SOURCES: tuple[Source, ...] = ("pretrained", "scratch")


class TransferFacts(Config):
    """How the judged weights came to be."""

    # JSON has no infinity; a diverged error is written as the string "Infinity".
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    identity: str  # sha256 of all that decides the result, see `sweep.identity_of`
    source: Source
    checkpoint: str  # as it was given on the command line
    checkpoint_sha256: str | None  # None from scratch: only its architecture mattered
    corpus: str
    trajectories: PositiveInt
    seed: NonNegativeInt  # of trajectories, order, noise and initial weights
    recipe: str
    overrides: tuple[str, ...]
    router: Literal["frozen", "free"]
    steps: PositiveInt  # optimiser steps done
    samples: PositiveInt  # windows seen
    train_fingerprint: str  # of the training split's shards
    train_seconds: NonNegativeFloat
    validation_error: NonNegativeFloat | None = None  # of these weights; None: not validated


class TransferRecord(Config):
    """One run: how it was trained, and how it was judged."""

    format: Literal["foundation-transfer"] = "foundation-transfer"
    version: Literal[1] = 1
    transfer: TransferFacts
    record: Record

    @property
    def error(self) -> float:
        return self.record.headline.value


class TransferSummary(Config):
    """A sweep: curves of both sources, and what pre-training is worth."""

    format: Literal["foundation-transfer-summary"] = "foundation-transfer-summary"
    version: Literal[1] = 1
    checkpoint: str
    corpus: str
    task: str
    task_hash: str
    headline: str
    recipe: str
    router: str
    curves: dict[Source, tuple[Point, ...]]
    gains: tuple[Gain, ...]
    crossing: EqualSize | None = None  # from where on scratch is as good; None: not comparable
    records: tuple[str, ...]  # names of the runs' files


def summarise(records: dict[str, TransferRecord]) -> TransferSummary:
    """Curves and gains of a sweep.

    Args:
        records: by the names of their files, one checkpoint, corpus and task.

    Raises:
        UserError: nothing to summarise, or records that cannot stand on one curve.
    """
    if not records:
        raise UserError("no records of transfer to summarise; run foundation transfer")
    _check_comparable(records)
    runs = list(records.values())
    first = next((run for run in runs if run.transfer.source == "pretrained"), runs[0])
    curves = {
        source: curve_of(
            (run.transfer.trajectories, run.error) for run in runs if run.transfer.source == source
        )
        for source in SOURCES
    }
    task = first.record.task
    return TransferSummary(
        checkpoint=first.transfer.checkpoint,
        corpus=first.transfer.corpus,
        task=task.name,
        task_hash=first.record.task_hash,
        headline=task.headline,
        recipe=first.transfer.recipe,
        router=first.transfer.router,
        curves=curves,
        gains=gains(curves["pretrained"], curves["scratch"]),
        crossing=crossing(curves["pretrained"], curves["scratch"]),
        records=tuple(records),
    )


def read_record(path: Path) -> TransferRecord | None:
    """A run's record; None if there is none.

    Raises:
        UserError: the file is not a whole record.
    """
    try:
        document = parse_json(read_text(path), str(path), "remove it to train again")
    except FileNotFoundError:
        return None
    record = TransferRecord.read(document, str(path))
    check_record(record.record, str(path))
    return record


def write_json(path: Path, content: TransferRecord | TransferSummary) -> None:
    """Write a file in one step.

    Raises:
        UserError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, f"{content.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error}); fix that and run again") from None


def _check_comparable(records: dict[str, TransferRecord]) -> None:
    """One curve is of one task, one corpus of shards and, after pre-training, one checkpoint."""
    (first_name, first), *others = records.items()
    trained = {run.transfer.checkpoint_sha256 for run in records.values()} - {None}
    if len(trained) > 1:
        raise UserError(f"records of {len(trained)} checkpoints do not make one curve; part them")
    for name, run in others:
        for what, ours, theirs in (
            ("task", run.record.task_hash, first.record.task_hash),
            ("training shards", run.transfer.train_fingerprint, first.transfer.train_fingerprint),
            (
                "test shards",
                run.record.provenance.shard_fingerprint,
                first.record.provenance.shard_fingerprint,
            ),
            ("samples judged", run.record.num_samples, first.record.num_samples),
        ):
            if ours != theirs:
                raise UserError(
                    f"{name}: its {what} are not those of {first_name}; part them into two sweeps"
                )
