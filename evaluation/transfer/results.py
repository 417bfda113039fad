"""Sweeps on disk: files of their summaries, and of the records of their runs."""

from evaluation.records.kinds import Kind
from evaluation.records.record import check_record
from evaluation.transfer.record import TransferRecord, TransferSummary

SWEEPS = Kind(TransferSummary)
RUNS = Kind(TransferRecord, lambda run, where: check_record(run.record, where))
