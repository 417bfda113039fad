"""Results files on disk: written whole or not at all, read back strictly."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from evaluation.records.record import Record, ResultFile, check_record, is_result_file, samples_path
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
            f"{output}: could not be written ({error}); mend that and evaluate again"
        ) from None


def read_results(path: Path) -> ResultFile | None:
    """A results file; None for JSON of another kind.

    Raises:
        UserError: not readable, not JSON, records that this version does not know, or one
            that no run writes.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); evaluate again") from None
    if not is_result_file(document):
        return None
    results = ResultFile.read(document, str(path))
    for position, record in enumerate(results.records):
        check_record(record, f"{path}: record {position}")
    return results


def read_folder(folder: Path) -> list[tuple[Path, ResultFile]]:
    """All results files below a folder, sorted by path.

    Raises:
        UserError: no such folder, or not one record in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of records; write some with foundation evaluate")
    found = [(path, read_results(path)) for path in sorted(folder.rglob("*.json"))]
    results = [(path, result) for path, result in found if result is not None]
    if not results:
        raise UserError(f"{folder}: no results files in it; write some with foundation evaluate")
    if not any(result.records for _, result in results):
        raise UserError(
            f"{folder}: its results files hold no records; write some with foundation evaluate"
        )
    return results
