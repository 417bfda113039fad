"""A training is started again until it is finished; a stand-in launcher ends as it is told."""

import json
import signal
import socket
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from runs import SETTINGS

from data_shards.errors import UserError
from foundation.models.registry import build_model
from foundation.train.config import load_run_config
from foundation.train.run_folder import Job, Launch, write_run
from foundation.train.stop import TERMINATED
from launchers.cli import main
from launchers.training.supervisor import Command, Supervisor, _stop, layout_below

PATIENCE_S = 30
LAUNCHER = """
    import json, os, pathlib, signal, subprocess, sys, time
    output = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
    starts = output / "starts"
    with starts.open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + chr(10))
    number = len(starts.read_text().splitlines())
    endings = {endings!r}
    ending = endings[min(number, len(endings)) - 1]
    checkpoint = output / "checkpoints" / f"step-{{number:08d}}"
    if ending == "saves and fails":
        checkpoint.mkdir(parents=True)
        sys.exit(1)
    if ending == "finishes":
        (output / "model").mkdir(exist_ok=True)
        (output / "model" / "config.json").write_text(str(number))
    if "stops" in ending:
        row = dict(kind="stop", step=number, diverged="diverged" in ending, message="")
        (output / "metrics.jsonl").write_text(json.dumps(row) + chr(10))
        sys.exit(1)
    if ending == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "leaves a rank behind":
        saving = f"sleep 1; mkdir -p {{checkpoint}}"
        subprocess.Popen(["sh", "-c", f"trap '{{saving}}; exit' TERM; while :; do sleep .05; done"])
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "waits for SIGTERM":
        def save(*_):
            checkpoint.mkdir(parents=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        (output / "waits").touch()
        time.sleep(60)
    sys.exit({{"is wrong": 2, "fails": 1}}.get(ending, 0))
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def supervisor(
    output: Path, *endings: str, restarts: int = 2, words: tuple[str, ...] = (), rate: float = 1.0
) -> Any:
    """One whose command ends so, start by start; with what it tells."""
    code = textwrap.dedent(LAUNCHER).format(endings=endings)
    command = Command((sys.executable, "-c", code, "--output", str(output), *words))
    told: list[str] = []
    return Supervisor(command, restarts, 0.01, rate, tell=told.append), told


def starts(output: Path) -> list[list[str]]:
    """Words of every start, but for its port."""
    lines = map(json.loads, (output / "starts").read_text().splitlines())
    return [[word for word in line if not word.startswith("--master_port=")] for line in lines]


def resumable(output: Path) -> None:
    """As a run leaves its folder before the first step: 16 experts, batches of 8, 4 ranks."""
    run = load_run_config("debug", list(SETTINGS))
    job = Job(run, lambda config: build_model(config, seed=0), {})
    write_run(output, job, Launch("shards", {}, 4, "none.json", 4))


def test_a_run_that_finishes_is_started_once(output):
    at_work, told = supervisor(output, "finishes", words=("steps=3",))
    assert at_work.run() == 0
    assert starts(output) == [["--output", str(output), "steps=3"]]
    assert not told


@pytest.mark.parametrize("ending", ["is killed", "fails", "ends with zero, unfinished"])
def test_a_run_that_does_not_finish_is_started_again(output, ending):
    at_work, told = supervisor(output, ending, "finishes")
    assert at_work.run() == 0
    assert len(starts(output)) == 2
    assert "restart from the beginning" in told[0]


def test_it_is_resumed_once_there_is_something_to_resume(output):
    at_work, _ = supervisor(output, "is killed", "finishes")
    resumable(output)
    assert at_work.run() == 0
    assert [words[-1] for words in starts(output)] == [str(output), "--resume"]


def test_an_older_model_does_not_finish_a_run_that_is_prolonged(output):
    (output / "model").mkdir()
    (output / "model" / "config.json").write_text("of yesterday")
    at_work, _ = supervisor(output, "ends with zero, unfinished", "finishes")
    assert at_work.run() == 0
    assert len(starts(output)) == 2


def test_a_users_error_is_not_tried_again(output):
    at_work, _ = supervisor(output, "is wrong")
    assert at_work.run() == 2
    assert len(starts(output)) == 1


def test_it_is_given_up_after_so_many_restarts_that_saved_nothing(output):
    at_work, told = supervisor(output, "fails")
    assert at_work.run() == 1
    assert len(starts(output)) == 3
    assert told[-1].startswith("supervisor: given up after 3 starts, code 1, without a new check")


def test_a_new_checkpoint_makes_the_count_and_the_pause_start_anew(output):
    endings = ("fails", "saves and fails") * 3
    at_work, told = supervisor(output, *endings, "finishes", restarts=1)
    assert at_work.run() == 0
    assert len(starts(output)) == 7
    assert {line.rpartition(" in ")[2] for line in told} == {"0.01 s"}
    assert "restart from step-00000006" in told[-1]


def test_the_pause_doubles(output):
    at_work, told = supervisor(output, "fails", restarts=3)
    assert at_work.run() == 1
    assert [line.rpartition(" in ")[2] for line in told[:-1]] == ["0.01 s", "0.02 s", "0.04 s"]


def test_ranks_that_a_killed_launcher_leaves_behind_save_before_the_next_start(output):
    at_work, told = supervisor(output, "leaves a rank behind", "finishes")
    assert at_work.run() == 0
    assert "restart from step-00000001" in told[0]


@pytest.mark.parametrize("option", [("--num_gpus", "4"), ("--num_accelerators=4",)])
def test_after_two_starts_that_saved_nothing_it_goes_on_on_fewer_ranks(output, option):
    at_work, told = supervisor(
        output, "fails", "fails", "finishes", words=(*option, "--ep_size", "4")
    )
    resumable(output)
    assert at_work.run() == 0
    first, second, third = starts(output)
    assert second == [*first, "--resume"]
    assert third[-2:] == ["--resume", "--ep-size=2"]
    ports = [word for word in (output / "starts").read_text().split('"') if "--master_port" in word]
    assert len(set(ports)) == 3  # one that was just free is not given again at once
    command = Command(tuple(third))
    assert (command.ranks, Command(tuple(second)).ranks) == (2, 4)
    assert "2 starts on 4 ranks saved nothing; on 2 now" in told[1]


@pytest.mark.parametrize(
    ("ranks", "ep_size", "below"), [(4, 4, (2, 2)), (4, 1, (2, 1)), (2, 2, (1, 1)), (1, 1, None)]
)
def test_fewer_ranks_are_as_many_as_batch_and_experts_allow(ranks, ep_size, below):
    run = load_run_config("debug", [])  # 16 experts, batches of 8
    assert layout_below(run, ranks, ep_size) == below


@pytest.mark.parametrize(("ending", "rate"), [("stops: bad data", 0.5), ("stops: diverged", 1.0)])
def test_a_run_that_stopped_itself_is_not_started_again_in_vain(output, ending, rate):
    at_work, _ = supervisor(output, ending, rate=rate)
    resumable(output)
    assert at_work.run() == 1
    assert len(starts(output)) == 1


def test_a_run_that_diverged_goes_on_at_a_lower_rate(output):
    endings = ("saves and fails", "stops: diverged", "is killed", "finishes")
    at_work, told = supervisor(output, *endings, rate=0.5)
    resumable(output)
    assert at_work.run() == 0
    rate = load_run_config("debug", []).optimiser.lr
    slower = f"optimiser.lr={rate / 2!r}"
    assert [slower in words for words in starts(output)] == [False, False, True, True]
    assert sum("the run diverged" in line for line in told) == 1


def test_the_rate_is_lowered_a_limited_number_of_times(output):
    at_work, _ = supervisor(output, "stops: diverged", rate=0.5, restarts=4)
    resumable(output)
    assert at_work.run() == 1
    assert len(starts(output)) == 5


def test_whoever_stops_it_gets_a_saved_run_and_no_other_start(output):
    at_work, _ = supervisor(output, "waits for SIGTERM")
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(at_work.run()))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not (output / "waits").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    at_work.stop()
    thread.join(PATIENCE_S)
    assert codes == [0]
    assert len(starts(output)) == 1


def test_a_stop_before_anything_is_saved_says_so_by_its_code(output):
    at_work, _ = supervisor(output, "is killed")
    at_work.stop()
    assert at_work.run() == TERMINATED == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "message"),
    [(("deepspeed", "train.py"), "no --output"), (("deepspeed", "--output"), "no value")],
)
def test_a_command_without_a_training_folder_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        Supervisor(Command(words), 1, 1.0).run()


def test_a_command_that_is_not_there_is_refused(tmp_path):
    words = (str(tmp_path / "none"), "--output", str(tmp_path))
    with pytest.raises(UserError, match="cannot be started"):
        Supervisor(Command(words), 1, 1.0).run()


def test_the_words_behind_the_dashes_reach_the_launcher_as_they_are(monkeypatch, output):
    seen: list[Supervisor] = []
    monkeypatch.setattr(Supervisor, "run", lambda self: seen.append(self) or 0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    words = ("deepspeed", "--num_gpus", "2", "train.py", "--ep_size=2", "--output", "x", "steps=3")
    assert main(["supervise", "--restarts", "1", "--lower_rate", "0.5", "--", *words]) == 0
    assert seen[0].command.words == words
    assert main(["supervise", "--restarts", "1"]) == 2


@pytest.mark.parametrize("line", ["5", "", '{"kind": "tr', "[1]", '{"step": 3}'])
def test_a_log_that_is_no_log_tells_of_no_stop(tmp_path, line):
    assert _stop(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text(line)
    assert _stop(tmp_path) is None


def test_a_number_of_ranks_is_a_number():
    with pytest.raises(UserError, match="--num_gpus abc: wanted a number of ranks"):
        _ = Command(("deepspeed", "--num_gpus", "abc", "launchers/pretrain.py")).ranks


def test_every_start_of_several_ranks_has_a_port_of_its_own():
    words = ("deepspeed", "--num_gpus", "2", "launchers/pretrain.py", "--output", "run")
    started = Command(words).at_free_port()
    name, _, port = started.words[1].partition("=")
    assert name == "--master_port"
    assert started.words == ("deepspeed", f"{name}={port}", *words[1:])
    with socket.socket() as free:
        free.bind(("", int(port)))
    for meeting in (("--master_port", "29501"), ("--no_ssh", "--node_rank=1")):
        named = Command(("deepspeed", *meeting, *words[1:]))
        assert named.at_free_port() == named
    alone = Command(("python", "launchers/pretrain.py", "--output", "run"))
    assert alone.at_free_port() == alone
