"""Studies on disk: files of summaries, whose means are those of their points."""

from data_shards.errors import UserError
from evaluation.records.kinds import Kind
from evaluation.study.summary import StudySummary, summarise
from evaluation.study.transfer_summary import StudyTransfer, summarise_transfer


def _check(summary: StudySummary, where: str) -> None:
    if summary != summarise(summary.title, summary.tasks, summary.points):
        raise UserError(
            f"{where}: its means are not those of its points; one of them was changed, run "
            "foundation study again"
        )


def _check_transfer(transfer: StudyTransfer, where: str) -> None:
    again = summarise_transfer(transfer.title, transfer.tasks, transfer.headlines, transfer.points)
    if transfer != again:
        raise UserError(
            f"{where}: its means are not those of its points; one of them was changed, run "
            "foundation study again"
        )


STUDIES = Kind(StudySummary, _check)
STUDY_TRANSFERS = Kind(StudyTransfer, _check_transfer)
