"""Training folders of a study: a run in, its finished checkpoint out, or what is in the way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_shards.config import read_yaml
from data_shards.errors import UserError
from evaluation.study.config import StudyRun
from foundation.train.config import RunConfig, first_difference


def training_folder(output: Path, run: StudyRun) -> Path:
    """Where a run is trained."""
    return output / "runs" / run.name


def finished_model(output: Path, run: StudyRun, shards: Mapping[str, str]) -> Path | None:
    """The checkpoint of a run that was finished; None if there is still something to do.

    Args:
        output: folder of the study.
        run: as it is asked for now.
        shards: fingerprints of its training splits by corpus.

    Raises:
        UserError: its folder holds a run of other settings, or on other shards.
    """
    folder = training_folder(output, run)
    if not (folder / "config.yaml").exists():
        return None
    saved = read_yaml(folder / "config.yaml")
    _refuse_difference(folder, _decided(saved, folder), run.config.deciding_values(), "")
    if "shards_sha256" in saved:
        _refuse_difference(folder, saved["shards_sha256"], dict(shards), "shards")
    model = folder / "model"
    return model if (model / "config.json").is_file() else None


def _decided(saved: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(saved, dict) or "run" not in saved:
        raise UserError(f"{folder / 'config.yaml'}: not a run's configuration; remove the folder")
    return RunConfig.read(saved["run"], str(folder / "config.yaml")).deciding_values()


def _refuse_difference(folder: Path, before: Any, now: Any, part: str) -> None:
    if difference := first_difference(before, now, part):
        raise UserError(
            f"{folder}: holds another run: {difference}; change the study back, remove that "
            "folder, or choose another --output"
        )
