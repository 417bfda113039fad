"""Runs of studies and sweeps as processes: what they are told, and what becomes of their ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from runs import write_checkpoint

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.study.config import StudyConfig, StudyRun, runs_of
from evaluation.tasks.task import load_tasks
from evaluation.transfer.sweep import Terms, TransferRun, plan, task_for
from launchers import finetune, pretrain
from launchers.training import trainings
from launchers.training.process import TrainingFailedError
from launchers.training.trainings import Trainings
from launchers.training.worker import Request

SUPPORT = Path(__file__).parents[2] / "support"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    source = write_checkpoint(tmp_path_factory.mktemp("source") / "model")
    return Terms(str(source), "finetune", ("steps=40",), (3,), (7,))


def planned(terms: Terms, waves: Path) -> list[TransferRun]:
    train, test = (ShardedCorpus.open(waves, "toy_wave", split) for split in ("train", "test"))
    return plan(terms, train, test, task_for(train.card, load_tasks(), None))


def study_run(**changed: object) -> StudyRun:
    values = {
        "title": "toy",
        "models": {"sparse": "debug"},
        "mixtures": {"two": ["data.corpora=[toy_wave]"]},
        "seeds": 1,
        **changed,
    }
    return runs_of(StudyConfig.read(values, "toy"))[0]


@pytest.fixture
def trainer(waves: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainings]:
    with stand_in(waves, monkeypatch) as trainer:
        yield trainer


def stand_in(waves: Path, monkeypatch: pytest.MonkeyPatch, **options: int) -> Trainings:
    """Trainings of the stand-in instead of the launchers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), *sys.path]))
    told = Trainings._finetuning
    monkeypatch.setattr(
        Trainings, "_finetuning", lambda self, run: ("stand_in_launcher", *told(self, run)[1:])
    )
    return Trainings(str(waves), **options)


def test_a_sweeps_run_is_told_what_was_planned(terms, waves, tmp_path):
    started, scratch = planned(terms, waves)
    trainer = Trainings(str(waves))
    for run, router, from_scratch in ((started, "frozen", False), (scratch, None, True)):
        module, words = trainer.command(run, tmp_path)
        options = finetune.build_parser().parse_intermixed_args(words)
        assert module == "launchers.finetune"
        assert (options.checkpoint, options.corpus) == (terms.checkpoint, "toy_wave")
        assert (options.trajectories, options.recipe) == (3, "finetune")
        assert (options.router, options.from_scratch) == (router, from_scratch)
        assert not options.resume
        assert options.overrides == ["validation.every=40", "steps=40", "seed=7"]


@pytest.mark.parametrize(("preset", "spread"), [("debug", 2), ("nano_fno", 1)])
def test_a_studys_run_is_told_its_preset_and_only_experts_are_spread(
    waves, tmp_path, preset, spread
):
    trainer = Trainings(str(waves), ranks=2, ep_size=4)
    overrides = ["data.weights=balanced", "data.corpora=[toy_wave]"]
    run = study_run(models={"model": preset}, mixtures={"two": overrides})
    module, words = trainer.command(run, tmp_path)
    options = pretrain.build_parser().parse_intermixed_args(words)
    assert module == "launchers.pretrain"
    assert (options.preset, options.ep_size) == (preset, spread)
    assert options.overrides == [*overrides, "seed=0"]


@pytest.mark.parametrize("key", ["early_stopping.patience=2", "validation.keep_best=true"])
def test_validation_that_decides_is_as_often_as_the_recipe_says(terms, waves, tmp_path, key):
    deciding = replace(terms, overrides=("steps=40", key))
    _, words = Trainings(str(waves)).command(planned(deciding, waves)[0], tmp_path)
    assert not any(word.startswith("validation.every") for word in words)


def test_a_started_run_goes_on(terms, waves, tmp_path):
    (tmp_path / "config.yaml").touch()
    _, words = Trainings(str(waves)).command(planned(terms, waves)[0], tmp_path)
    assert "--resume" in words


def test_several_ranks_go_through_deepspeeds_launcher(terms, waves, tmp_path, monkeypatch):
    trainer, given = Trainings(str(waves), ranks=4), []
    monkeypatch.setattr(
        trainer._processes, "run", lambda command, log, **share: given.append(command) or 2
    )
    with pytest.raises(UserError):
        trainer(planned(terms, waves)[0], tmp_path / "run")
    start = ["-m", "deepspeed.launcher.runner", "--num_accelerators", "4", "--module"]
    assert given[0][1:7] == [*start, "launchers.finetune"]


def test_every_run_is_a_fresh_process_of_one_worker_that_has_imported_already(
    terms, waves, trainer, tmp_path, monkeypatch
):
    monkeypatch.setenv("ENDING", "good")
    run = planned(terms, waves)[0]
    models = [trainer(run, tmp_path / name) for name in ("first", "second")]
    first, second = (json.loads((model / "config.json").read_text()) for model in models)
    assert first["words"] == trainer.command(run, tmp_path / "first")[1]
    assert (tmp_path / "first" / "train.log").read_text() == "step 1/2\n"
    assert first["process"] != second["process"]
    assert first["parent"] == second["parent"] != os.getpid()
    assert (first["late"], second["late"]) == (False, True)
    assert first["share"] == "1"


@pytest.mark.parametrize(
    ("ending", "error", "message"),
    [
        ("user", UserError, "^unknown corpus$"),
        ("failed", TrainingFailedError, r"code 1: stopped: step 2: the loss.*train\.log"),
        ("stopped", TrainingFailedError, "code 0: stopped at step 1 of 2, saved"),
        ("killed", TrainingFailedError, r"code -9: "),
    ],
)
def test_another_end_is_told(terms, waves, trainer, tmp_path, monkeypatch, ending, error, message):
    monkeypatch.setenv("ENDING", ending)
    with pytest.raises(error, match=message):
        trainer(planned(terms, waves)[0], tmp_path / "run")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


def test_what_is_at_work_saves_when_it_is_stopped_and_nothing_further_begins(
    terms, waves, tmp_path, monkeypatch
):
    monkeypatch.setenv("ENDING", "until stopped")
    run, said = planned(terms, waves)[0], []

    def train(folder: Path) -> None:
        with pytest.raises(TrainingFailedError) as raised:
            trainer(run, folder)
        said.append(str(raised.value))

    with stand_in(waves, monkeypatch, jobs=2) as trainer:
        folders = [tmp_path / name for name in ("one", "two")]
        threads = [threading.Thread(target=train, args=(folder,)) for folder in folders]
        for thread in threads:
            thread.start()
        for folder in folders:
            wait_for(folder / "started")
        trainer.stop()
        for thread in threads:
            thread.join(PATIENCE_S)
        train(tmp_path / "three")
    assert len(said) == 3
    assert all("saved; go on with --resume" in line for line in said[:2])
    assert not (tmp_path / "three" / "started").exists()


def test_a_worker_that_dies_is_told(terms, waves, trainer, tmp_path, monkeypatch):
    monkeypatch.setenv("ENDING", "good")
    run = planned(terms, waves)[0]
    model = trainer(run, tmp_path / "first")
    os.kill(json.loads((model / "config.json").read_text())["parent"], signal.SIGKILL)
    with pytest.raises(TrainingFailedError, match="a worker of trainings ended with code -9"):
        trainer(run, tmp_path / "second")


def test_the_configuration_of_the_engine_is_read_once_and_faults_are_told(waves, tmp_path):
    assert trainings.Trainings(str(waves)).engine["zero_optimization"]["stage"] == 1
    missing = Trainings(str(waves), deepspeed_config=tmp_path / "none.json")
    with pytest.raises(UserError, match="no such DeepSpeed configuration"):
        _ = missing.engine


BESIDE_A_GPU = """
import multiprocessing, sys
from launchers.training import worker
if __name__ == "__main__":
    worker._processes = lambda: multiprocessing.get_context("spawn")
    sys.exit(worker.main())
"""


def test_beside_a_gpu_every_run_is_a_process_from_the_start(tmp_path):
    """A fork would not be able to use it; here the worker is only told that there is one."""
    paths = os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths, "ENDING": "good", "LOCAL_SIZE": "1"}
    requests = ""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        log, words = str(tmp_path / name / "train.log"), ["--output", str(tmp_path / name)]
        requests += json.dumps(asdict(Request("stand_in_launcher", words, log, {}))) + "\n"
    (tmp_path / "beside_a_gpu.py").write_text(BESIDE_A_GPU)
    said = subprocess.run(
        [sys.executable, str(tmp_path / "beside_a_gpu.py")],
        input=requests,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert said.stdout.split() == ["0", "0"], said.stderr
    for name in ("first", "second"):
        about = json.loads((tmp_path / name / "model" / "config.json").read_text())
        assert not about["late"], "what the worker imported is not there"
