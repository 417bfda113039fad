"""The second half of a study: every model fine-tuned, each cell once, rates chosen blindly."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from beginner import Beginner

from data_shards.errors import UserError
from evaluation.experiments.run import training_folder
from evaluation.study.config import StudyConfig, StudyRun
from evaluation.study.run import StudyResult, open_study, run_study
from evaluation.study.transfer_summary import StudyTransfer
from evaluation.transfer.record import read_record
from evaluation.transfer.sweep import TransferRun

SETTINGS = ["data.corpora=[fno_ns_1e-5]", "model.resolution=32", "steps=3"]
TRANSFER = {
    "corpora": ["fno_ns_1e-4"],
    "sizes": [2, 4],
    "learning_rates": [1e-2, 1e-3],
    "seeds": 2,
    "overrides": ["steps=2"],
}
STUDY: dict[str, Any] = {
    "title": "toy",
    "models": {"sparse": "debug", "spectral": "nano_fno"},
    "mixtures": {"one": [*SETTINGS, "data.weights=balanced"]},
    "seeds": 2,
    "tasks": ["zero_shot_fno_ns_1e-5"],
    "transfer": TRANSFER,
}


def study(transfer: dict[str, Any] | None = None, **changed: Any) -> StudyConfig:
    return StudyConfig.read({**STUDY, "transfer": {**TRANSFER, **(transfer or {})}, **changed}, "s")


SMALL = {"models": ["spectral"], "seeds": 1}  # one model, and a quarter of the cells


@pytest.fixture
def trainer(learnable: Path) -> Beginner:
    return Beginner(learnable)


def run(trainer: Beginner, output: Path, config: StudyConfig, **options: Any) -> StudyResult:
    trainer.trained.clear()
    return run_study(config, str(trainer.shards), output, trainer, **options)


@dataclass(frozen=True)
class Whole:
    """A study that was run to its end."""

    output: Path
    result: StudyResult
    trained: list[StudyRun | TransferRun]

    @property
    def fine_tuned(self) -> list[TransferRun]:
        return [each for each in self.trained if isinstance(each, TransferRun)]


@pytest.fixture(scope="module")
def whole(learnable: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    output, trainer = tmp_path_factory.mktemp("whole"), Beginner(learnable, jobs=2)
    return Whole(output, run(trainer, output, study()), trainer.trained)


@pytest.fixture
def again(whole: Whole, tmp_path: Path) -> Path:
    """A copy of the finished study's folder."""
    return shutil.copytree(whole.output, tmp_path / "again")


def test_a_study_of_two_models_is_run_and_summed_up_from_python(whole):
    # two models x two seeds; of each two sizes x two rates x two seeds; scratch knows no seed
    assert Counter(map(type, whole.trained)) == {StudyRun: 4, TransferRun: 4 * 8 + 2 * 8}
    assert not any(isinstance(each, TransferRun) for each in whole.trained[:4])
    found = whole.result.transfer
    assert [(cell.model, cell.trajectories) for cell in found.cells] == [
        ("sparse", 2), ("sparse", 4), ("spectral", 2), ("spectral", 4),
    ]  # fmt: skip
    for cell in found.cells:
        assert (cell.pretrained.runs, cell.scratch.runs) == (4, 2)
        assert (cell.pretrained.learning_rate, cell.scratch.learning_rate) == (1e-3, 1e-3)
        assert cell.error_factor == pytest.approx(
            cell.scratch.error.mean / cell.pretrained.error.mean
        )
    assert "fno_ns_1e-4, fine-tuned" in (whole.output / "study.md").read_text()
    written = json.loads((whole.output / "records" / "study-transfer.json").read_text())
    assert StudyTransfer.read(written, "it") == found


def test_every_cell_has_a_record_of_transfer(whole):
    points = whole.result.transfer.points
    assert len({point.record for point in points}) == len(points) == len(whole.fine_tuned)
    for point in points:
        record = read_record(whole.output / "records" / point.record)
        facts = record.transfer
        assert (facts.source, facts.trajectories, facts.seed, record.error) == (
            point.source, point.trajectories, point.seed, point.error,
        )  # fmt: skip
        assert facts.validation_error == point.validation_error
        assert facts.overrides[-1] == f"optimiser.lr={point.learning_rate}"


def test_the_same_study_trains_nothing_again_and_a_wider_one_only_what_is_new(
    whole, again, trainer
):
    assert run(trainer, again, study()) == whole.result
    assert trainer.trained == []
    run(trainer, again, study({**SMALL, "sizes": [2, 4, 6]}))
    assert {each.trajectories for each in trainer.trained} == {6}
    run(trainer, again, study({**SMALL, "sizes": [2], "seeds": 3}))
    assert {(each.trajectories, each.seed) for each in trainer.trained} == {(2, 2)}


def test_a_study_that_was_cut_short_goes_on_with_the_cell_it_was_at(trainer, tmp_path):
    class Tired(Beginner):
        def __call__(self, run: StudyRun | TransferRun, folder: Path) -> Path:
            if len(self.trained) == 7:
                raise KeyboardInterrupt
            return super().__call__(run, folder)

    tired, config = Tired(trainer.shards), study(SMALL, seeds=1)
    with pytest.raises(KeyboardInterrupt):
        run(tired, tmp_path, config)
    begun = {each.name for each in tired.trained}
    cut = run(trainer, tmp_path, config)
    assert not {each.name for each in trainer.trained} & begun
    assert len(trainer.trained) + len(begun) == 2 + 4 + 4
    trainer.jobs = 3
    assert cut.transfer == run(trainer, tmp_path / "at once", config).transfer


def test_without_scratch_there_is_no_control(trainer, tmp_path):
    config = study({**SMALL, "scratch": False, "learning_rates": [1e-2]}, seeds=1)
    result = run(trainer, tmp_path, config)
    tuned = [each for each in trainer.trained if isinstance(each, TransferRun)]
    assert {each.source for each in tuned} == {"pretrained"}
    assert {cell.model for cell in result.transfer.cells} == {"spectral"}
    assert all(cell.scratch is cell.error_factor is None for cell in result.transfer.cells)
    assert {cell.pretrained.learning_rate for cell in result.transfer.cells} == {1e-2}


def test_only_what_is_finished_is_summed_up(whole, again, trainer):
    def lose(*sizes: int) -> None:
        for lost in whole.fine_tuned:
            if lost.trajectories in sizes:
                (again / "records" / f"{lost.name}.json").unlink(missing_ok=True)

    lose(4)
    part = run(trainer, again, study(), finished_only=True)
    assert trainer.trained == []
    assert part.summary == whole.result.summary
    small = tuple(cell for cell in whole.result.transfer.cells if cell.trajectories == 2)
    assert part.transfer.cells == small
    lose(2, 4)
    assert run(trainer, again, study(), finished_only=True).transfer is None


def test_weights_of_fine_tuning_are_not_kept(whole):
    for each in whole.trained:
        kept = (training_folder(whole.output, each) / "model").exists()
        assert kept == isinstance(each, StudyRun)


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        ({"overrides": ["seed=3"]}, "an override sets seed; the study does, see seeds"),
        ({"overrides": ["optimiser.lr=3"]}, "sets optimiser.lr; the study does, see learning_rat"),
        ({"sizes": [2, 2]}, r"sizes \[2, 2\] names one twice"),
        ({"models": ["spars"]}, r"transfer.models: unknown model 'spars'; did you mean 'sparse'"),
        ({"learning_rates": []}, "learning_rates"),
        ({"size": [2]}, "unknown key 'size'; did you mean 'sizes'"),
    ],
)
def test_a_section_that_cannot_be_is_refused(transfer, message):
    with pytest.raises(UserError, match=message):
        study(transfer)


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        ({"corpora": ["fno_ns_1e-3"]}, "fno_ns_1e-3"),
        ({"sizes": [2, 7]}, "has 6 trajectories to learn from"),
        ({"recipe": "finetun"}, "unknown recipe 'finetun'"),
        ({"overrides": ["stepps=3"]}, "did you mean 'steps'"),
        ({"router": "frozen"}, "take router=free"),
        ({"corpora": ["fno_ns_1e-5"]}, "no validation split of fno_ns_1e-5 to choose by"),
        (
            {"corpora": ["fno_ns_1e-5"], "overrides": ["steps=2", "validation.keep_best=true"]},
            r"validation.keep_best: no validation split of fno_ns_1e-5",
        ),
    ],
)
def test_what_could_not_be_fine_tuned_is_refused_before_anything_is_trained(
    learnable, transfer, message
):
    with pytest.raises(UserError, match=message):
        open_study(study(transfer), str(learnable))


def test_corpora_of_one_rate_need_no_validation(learnable):
    config = study({"corpora": ["fno_ns_1e-5"], "learning_rates": [1e-3]})
    assert open_study(config, str(learnable)).transfers is not None


def test_a_study_without_the_section_is_what_it_was(trainer, tmp_path):
    config = StudyConfig.read({k: v for k, v in STUDY.items() if k != "transfer"}, "s")
    assert run(trainer, tmp_path, config).transfer is None
    assert {type(each) for each in trainer.trained} == {StudyRun}
    assert not (tmp_path / "records" / "study-transfer.json").exists()
