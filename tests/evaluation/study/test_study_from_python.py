"""A study without the console: two tiny models trained, judged and fine-tuned for real."""

import json
from pathlib import Path
from typing import Any

import pytest
from runs import rows

from evaluation.study.config import StudyConfig
from evaluation.study.run import run_study
from launchers.training.trainings import Trainings

pytestmark = [pytest.mark.dist, pytest.mark.slow]

STUDY: dict[str, Any] = {
    "title": "toy",
    "models": {"sparse": "debug", "spectral": "nano_fno"},
    "mixtures": {"one": ["data.corpora=[fno_ns_1e-5]", "data.weights=balanced"]},
    "seeds": 1,
    "overrides": ["model.resolution=32", "steps=3", "global_batch=2", "log_every=1"],
    "tasks": ["zero_shot_fno_ns_1e-5"],
    "transfer": {
        "corpora": ["fno_ns_1e-4"],
        "sizes": [2],
        "learning_rates": [1e-4, 1e-3],
        "seeds": 1,
        "overrides": ["steps=4", "global_batch=2", "validation.keep_best=true"],
    },
}


def test_a_study_of_two_models_runs_from_python(learnable, tmp_path, monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    config, output = StudyConfig.read(STUDY, "toy"), tmp_path / "out"
    with Trainings(str(learnable), jobs=2) as trainer:
        result = run_study(config, str(learnable), output, trainer)
    for preset in ("debug", "nano_fno"):
        assert [row["step"] for row in rows(output / "runs" / f"{preset}-one-seed0")] == [1, 2, 3]
    assert len(result.transfer.points) == 2 * (2 + 2)
    for point in result.transfer.points:
        assert point.validation_error == least_validated(output, point.record)
    for cell in result.transfer.cells:
        of_source = [p for p in result.transfer.points if p.model == cell.model]
        for source, chosen in (("pretrained", cell.pretrained), ("scratch", cell.scratch)):
            best = min(
                (p for p in of_source if p.source == source), key=lambda p: p.validation_error
            )
            assert (chosen.learning_rate, chosen.error.mean) == (best.learning_rate, best.error)


def least_validated(output: Path, record: str) -> float:
    """The smallest validation error that a run wrote down."""
    facts = json.loads((output / "records" / record).read_text())["transfer"]
    folder = output / "runs" / record.removesuffix(".json")
    errors = [row["l2re"][facts["corpus"]] for row in rows(folder, "validation")]
    assert len(errors) == 4
    return min(errors)
