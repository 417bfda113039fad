"""Studies on disk: a folder in, its summaries out."""

import json
from pathlib import Path

from data_shards.errors import UserError
from evaluation.study.summary import StudySummary, summarise

_FORMAT = StudySummary.model_fields["format"].default


def read_study_folder(folder: Path) -> list[StudySummary]:
    """All studies below a folder, sorted by path; none if there are none.

    Raises:
        UserError: a JSON file that cannot be read, or a study that no run writes.
    """
    found = [_read(path) for path in sorted(folder.rglob("*.json"))]
    return [summary for summary in found if summary is not None]


def _read(path: Path) -> StudySummary | None:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); mend or remove it") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return None
    summary = StudySummary.read(document, str(path))
    if summary != summarise(summary.title, summary.tasks, summary.points):
        raise UserError(
            f"{path}: its means are not those of its points; one of them was changed, run "
            "foundation study again"
        )
    return summary
