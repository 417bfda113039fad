"""Results files on disk: written whole or not at all, read back strictly."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from evaluation.records.kinds import Kind, RecordFolder
from evaluation.records.record import Record, ResultFile, check_record, samples_path
from evaluation.records.samples import SampleValues, names_of


def check_writable(output: Path, overwrite: bool) -> None:
    """Refuse an output before hours of work, not after.

    Raises:
        UserError: it exists and may not be overwritten, is a folder, or cannot be made.
    """
    if output.is_dir():
        raise UserError(f"{output}: a folder; give --output the name of a file, such as FILE.json")
    if output.exists() and not overwrite:
        raise UserError(f"{output}: exists already; pass --overwrite or choose another name")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: its folder cannot be made ({error})") from None
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"{output}: its folder is not writable; choose another place")


def save_results(output: Path, judged: Sequence[tuple[Record, SampleValues]]) -> None:
    """Write a results file and its samples, each in one step; the results come last.

    Raises:
        UserError: the disk refuses.
    """
    samples = samples_path(output)
    results = ResultFile(
        samples_file=samples.name, records=tuple(record for record, values in judged)
    )
    arrays: dict[str, Any] = {
        name: array
        for position, (_, values) in enumerate(judged)
        for name, array in values.arrays(str(position)).items()
    }
    arrays |= {f"{i}/of": names_of(record) for i, (record, _) in enumerate(judged)}
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    try:
        replace_file(samples, packed.getvalue())
        replace_file(output, f"{results.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise UserError(
            f"{output}: could not be written ({error}); fix that and evaluate again"
        ) from None


def _check(results: ResultFile, where: str) -> None:
    for position, record in enumerate(results.records):
        check_record(record, f"{where}: record {position}")


RESULTS = Kind(ResultFile, _check, "evaluate again")


def read_results(path: Path) -> ResultFile | None:
    """A results file; None for JSON of another kind.

    Raises:
        UserError: not readable, not JSON, records that this version does not know, or one
            that no run writes.
    """
    return RESULTS.read(path)


def results_in(folder: RecordFolder) -> list[tuple[Path, ResultFile]]:
    """All results files of a folder, sorted by path.

    Raises:
        UserError: not one record in it, or one that no run writes.
    """
    results = folder.files_of(RESULTS)
    if not results:
        raise UserError(
            f"{folder.path}: no results files in it; write some with foundation evaluate"
        )
    if not any(result.records for _, result in results):
        raise UserError(
            f"{folder.path}: its results files hold no records; write some with foundation evaluate"
        )
    return results
