"""Training folders of a study: a run in, its finished checkpoint out, or what is in the way."""

from collections.abc import Mapping
from pathlib import Path

from evaluation.study.config import StudyRun
from foundation.train import run_folder


def training_folder(output: Path, run: StudyRun) -> Path:
    """Where a run is trained."""
    return output / "runs" / run.name


def finished_model(output: Path, run: StudyRun, shards: Mapping[str, str]) -> Path | None:
    """The checkpoint of a run that was finished; see `run_folder.finished_model`."""
    return run_folder.finished_model(training_folder(output, run), run.config, shards)
