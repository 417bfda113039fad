"""`foundation transfer` as it is typed: interrupted, taken up again, and what is refused."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import interrupts
import pytest
from runs import rows, write_checkpoint

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from evaluation.tasks.task import load_tasks
from evaluation.transfer.run import sizes_of
from evaluation.transfer.sweep import task_for
from launchers.cli import main
from launchers.work.transfer import _corpus

_PATIENCE_S = 150


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "toy" / "model"
    return write_checkpoint(folder, "fno")


def words(source: Path, shards: Path, output: Path, **changed: str) -> list[str]:
    given = {
        "--corpus": "toy_wave",
        "--shards": str(shards),
        "--sizes": "3",
        "--seeds": "1",
        "--output": str(output),
        **{f"--{name.replace('_', '-')}": value for name, value in changed.items()},
    }
    pairs = [word for pair in given.items() for word in pair]
    return ["transfer", str(source), *pairs, "global_batch=2", "log_every=1"]


def wait_for_step(output: Path, step: int, runs: int) -> list[Path]:
    """The training folders of the first runs, once all of these are at a step."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        begun = [path.parent for path in output.glob("runs/*/metrics.jsonl")]
        done = [folder for folder in begun if len(rows(folder)) >= step]
        if len(done) == runs:
            return done
        time.sleep(0.1)
    raise AssertionError(f"no step {step} of {runs} runs in {_PATIENCE_S} s")


@pytest.mark.dist
@pytest.mark.slow  # trainings from the start of Python on, twice
@pytest.mark.parametrize(("jobs", "last"), [(1, 60), (2, 600)])
def test_an_interrupted_sweep_goes_on_in_the_middle_of_its_runs(
    waves, source, tmp_path, jobs, last
):
    typed = words(source, waves, tmp_path / "out", steps=str(last), jobs=str(jobs))
    command = [sys.executable, "-m", "launchers.cli", *typed]
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=interrupts.heard,
    )
    folders = wait_for_step(tmp_path / "out", 3, jobs)
    os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C on a terminal does
    said = first.communicate(timeout=_PATIENCE_S)[1]
    assert first.returncode == 130, said
    for folder in folders:
        assert "saved; go on with --resume" in (folder / "train.log").read_text()
        assert 3 <= rows(folder)[-1]["step"] < last

    second = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=True
    )
    for folder in folders:
        steps = [row["step"] for row in rows(folder)]
        assert steps == list(range(1, last + 1)), "not one step twice, though it was cut"
        assert [row["step"] for row in rows(folder, "validation")] == [last]
    summary = json.loads(second.stdout)
    assert [p["trajectories"] for p in summary["curves"]["scratch"]] == [3]
    assert len(list((tmp_path / "out" / "records").iterdir())) == 2
    assert (tmp_path / "out" / "transfer.svg").read_text().startswith("<svg")
    assert "seed 0: l2re" in second.stderr
    assert not list((tmp_path / "out").glob("runs/*/checkpoints"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"corpus": "toy_wav"}, "did you mean 'toy_wave'"),
        ({"sizes": "4,40"}, "has 12 trajectories to learn from"),
        ({"recipe": "downstreem"}, "did you mean 'downstream'"),
        ({"router": "frozen"}, "take router=free"),
        ({"task": "zero_shot_cfdbench"}, "not a forecast of toy_wave"),
        ({"deepspeed_config": "none.json"}, "no such DeepSpeed configuration"),
        ({"device": "cuda:99"}, "not usable here"),
    ],
)
def test_faults_are_found_before_anything_is_trained(
    waves, source, tmp_path, capsys, changed, message
):
    assert main(words(source, waves, tmp_path / "out", **changed)) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert message in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sizes", ["", "0", "3,x", "-2"])
def test_sizes_are_positive_numbers(waves, source, tmp_path, capsys, sizes):
    with pytest.raises(SystemExit) as left:
        main([*words(source, waves, tmp_path / "out"), f"--sizes={sizes}"])
    assert left.value.code == 2
    assert "--sizes" in capsys.readouterr().err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["transfer", "--help"])
    assert left.value.code == 0
    assert "foundation transfer runs/small/model --corpus fno_ns_1e-4" in capsys.readouterr().out


def _asked(**options) -> argparse.Namespace:
    return argparse.Namespace(**{"corpus": None, "task": None, **options})


def test_a_few_shot_task_names_its_corpus_and_sizes():
    known, said = load_tasks(), []
    assert _corpus(_asked(task="few_shot_wave_layer"), known) == "wave_layer"
    task = known["few_shot_wave_layer"]
    assert sizes_of(task, 5000, said.append) == (16, 32, 64, 128, 512, 2000)
    assert said == []
    assert sizes_of(task, 100, said.append) == (16, 32, 64)
    assert "left out: few_shot_wave_layer with 128, 512, 2000 trajectories" in said[0]
    with pytest.raises(UserError, match="the shards have 8; generate more"):
        sizes_of(task, 8)
    assert sizes_of(known["downstream_fno_ns_1e-4"], 100) == ()


def test_what_is_learnt_is_judged_by_the_forecast_of_its_task():
    known = load_tasks()
    card = load_card("fno_ns_1e-4")
    assert (
        task_for(card, known, "few_shot_fno_ns_1e-4") == known["few_shot_fno_ns_1e-4"].as_forecast
    )
    with pytest.raises(UserError, match="not a forecast of fno_ns_1e-4"):
        task_for(card, known, "few_shot_wave_layer")


def test_without_corpus_or_task_there_is_nothing_to_learn():
    with pytest.raises(UserError, match="name it by --corpus, or a test of it by --task"):
        _corpus(_asked(), load_tasks())
    with pytest.raises(UserError, match="did you mean 'few_shot_wave_layer'"):
        _corpus(_asked(task="few_shot_wave_laye"), load_tasks())
