"""Sweeps on disk: a folder in, its summaries and records out."""

import json
from pathlib import Path

from data_shards.errors import UserError
from evaluation.transfer.record import FORMAT, TransferRecord, TransferSummary, read_record

_SUMMARY = TransferSummary.model_fields["format"].default


def read_transfer_folder(folder: Path) -> tuple[list[TransferSummary], list[TransferRecord]]:
    """All sweeps below a folder, and the records of all their runs, sorted by path.

    Raises:
        UserError: a JSON file that cannot be read, or a sweep that no run writes.
    """
    summaries, records = [], []
    for path in sorted(folder.rglob("*.json")):
        document = _read(path)
        kind = document.get("format") if isinstance(document, dict) else None
        if kind == _SUMMARY:
            summaries.append(TransferSummary.read(document, str(path)))
        elif kind == FORMAT and (record := read_record(path)) is not None:
            records.append(record)
    return summaries, records


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); mend or remove it") from None
