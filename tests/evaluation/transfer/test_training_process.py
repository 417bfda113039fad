"""A run's process: what it is told, and what becomes of its ends."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from runs import write_checkpoint

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.tasks.task import load_tasks
from evaluation.transfer.sweep import Terms, TransferRun, plan, task_for
from launchers.finetune import build_parser
from launchers.training.process import TrainingFailedError
from launchers.verbs.transfer import TrainingProcess

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    source = write_checkpoint(tmp_path_factory.mktemp("source") / "model")
    return Terms(str(source), "finetune", ("steps=40",), (3,), (7,), None, {}, None)


def planned(terms: Terms, waves: Path) -> list[TransferRun]:
    train, test = (ShardedCorpus.open(waves, "toy_wave", split) for split in ("train", "test"))
    return plan(terms, train, test, task_for(train.card, load_tasks(), None))


@pytest.fixture
def process(waves: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingProcess:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    return TrainingProcess(str(waves), module="stand_in_finetune")


def test_a_run_is_told_what_was_planned(terms, waves, process, tmp_path):
    started, scratch = planned(terms, waves)
    for run, router, from_scratch in ((started, "frozen", False), (scratch, None, True)):
        words = process.command(run, tmp_path)[3:]
        options = build_parser().parse_intermixed_args(words)
        assert (options.checkpoint, options.corpus) == (terms.checkpoint, "toy_wave")
        assert (options.trajectories, options.recipe) == (3, "finetune")
        assert (options.router, options.from_scratch) == (router, from_scratch)
        assert not options.resume
        assert options.overrides == ["validation.every=40", "steps=40", "seed=7"]


def test_early_stopping_keeps_its_validations(terms, waves, process, tmp_path):
    stopping = replace(terms, overrides=("steps=40", "early_stopping.patience=2"))
    words = process.command(planned(stopping, waves)[0], tmp_path)
    assert not any(word.startswith("validation.every") for word in words)


def test_several_ranks_go_through_the_launcher(terms, waves, process, tmp_path):
    words = replace(process, ranks=4).command(planned(terms, waves)[0], tmp_path)
    launcher = ["-m", "deepspeed.launcher.runner", "--num_accelerators", "4", "--module"]
    assert words[1:7] == [*launcher, "stand_in_finetune"]


def test_a_started_run_goes_on(terms, waves, process, tmp_path):
    run = planned(terms, waves)[0]
    (tmp_path / "config.yaml").touch()
    assert "--resume" in process.command(run, tmp_path)


def test_a_good_end_gives_the_checkpoint(terms, waves, process, tmp_path, monkeypatch):
    monkeypatch.setenv("ENDING", "good")
    run = planned(terms, waves)[0]
    model = process(run, tmp_path / "run")
    said = json.loads((model / "config.json").read_text())["words"]
    assert said == process.command(run, tmp_path / "run")[3:]
    assert (tmp_path / "run" / "train.log").read_text() == "step 1/2\n"


@pytest.mark.parametrize(
    ("ending", "error", "message"),
    [
        ("user", UserError, "^unknown corpus$"),
        ("failed", TrainingFailedError, r"code 1: stopped: step 2: the loss.*train\.log"),
        ("stopped", TrainingFailedError, "code 0: stopped at step 1 of 2, saved"),
    ],
)
def test_another_end_is_told(terms, waves, process, tmp_path, monkeypatch, ending, error, message):
    monkeypatch.setenv("ENDING", ending)
    with pytest.raises(error, match=message):
        process(planned(terms, waves)[0], tmp_path / "run")
