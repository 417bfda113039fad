"""Runs with their results: each once, so many at a time, and what a failure leaves."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluation.experiments.run import Trained, run_all, training_folder

PATIENCE_S = 20


@dataclass(frozen=True)
class Toy:
    name: str

    @property
    def identity(self) -> str:
        return f"identity of {self.name}"


RUNS = [Toy(name) for name in "abcdef"]


class Bench:
    """Trains and judges in no time, and writes down what it was asked for."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.kept: dict[str, str] = {}
        self.stops = 0

    def train(self, run: Toy) -> Path:
        self.trained.append(run.name)
        return Path("out") / run.name

    def judge(self, run: Toy, trained: Trained) -> str:
        assert trained.model == Path("out") / run.name
        assert trained.seconds >= 0
        self.kept[run.identity] = f"error of {run.name}"
        return self.kept[run.identity]

    def stop(self) -> None:
        self.stops += 1

    def run(self, runs: list[Toy], jobs: int = 1) -> Iterator[tuple[Toy, str]]:
        done = dict(self.kept)
        return run_all(runs, done, self.train, self.judge, jobs=jobs, stop=self.stop)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_run_comes_out_once_with_its_own_result(bench, jobs):
    found = list(bench.run(RUNS, jobs))
    assert dict(found) == {run: f"error of {run.name}" for run in RUNS}
    assert len(found) == len(RUNS) == len(bench.trained)
    assert bench.stops == 0


def test_what_is_done_under_the_same_identity_is_never_repeated(bench):
    list(bench.run(RUNS[:2]))
    assert [run for run, _ in bench.run(RUNS)] == RUNS
    assert bench.trained == list("abcdef")
    list(bench.run(RUNS, jobs=3))
    assert len(bench.trained) == len(RUNS)


def test_one_job_trains_a_run_only_when_the_one_before_is_judged_and_taken(bench):
    coming = bench.run(RUNS)
    assert bench.trained == []
    assert [next(coming)[0].name for _ in range(2)] == ["a", "b"]
    assert bench.trained == ["a", "b"]
    coming.close()
    assert bench.trained == ["a", "b"]
    assert list(bench.kept) == [run.identity for run in RUNS[:2]]


@pytest.mark.parametrize("jobs", [2, 3])
def test_so_many_trainings_are_at_work_and_never_more(bench, jobs):
    """They meet at a gate that opens for as many as there are jobs, and for no fewer."""
    gate, at_work, most = threading.Barrier(jobs, timeout=PATIENCE_S), [], []

    def train(run: Toy) -> Path:
        at_work.append(run)
        most.append(len(at_work))
        gate.wait()
        at_work.remove(run)
        return bench.train(run)

    found = list(run_all(RUNS, {}, train, bench.judge, jobs=jobs))
    assert len(found) == len(RUNS)
    assert max(most) == jobs


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_failure_stops_the_others_and_keeps_what_is_done(bench, jobs):
    stopped = threading.Event()

    def train(run: Toy) -> Path:
        if run.name == "c":
            raise RuntimeError("no memory left")
        if run.name == "d":  # at work when c fails, if there are two jobs
            assert stopped.wait(PATIENCE_S)
        return bench.train(run)

    def stop() -> None:
        bench.stop()
        stopped.set()

    with pytest.raises(RuntimeError, match="no memory left"):
        list(run_all(RUNS, {}, train, bench.judge, jobs=jobs, stop=stop))
    assert bench.stops == 1
    assert RUNS[0].identity in bench.kept
    assert set(bench.kept) <= {run.identity for run in RUNS[:2]}
    assert not {"e", "f"} & set(bench.trained)
    list(bench.run(RUNS, jobs))
    assert len(bench.kept) == len(RUNS)


class Slow(Bench):
    """All runs but the first go on until they are stopped; the first is judged meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.stopped = threading.Event(), threading.Event()

    def train(self, run: Toy) -> Path:
        if run.name != "a":
            self.begun.set()
            assert self.stopped.wait(PATIENCE_S)
        return super().train(run)

    def judge(self, run: Toy, trained: Trained) -> str:
        assert self.begun.wait(PATIENCE_S)
        return super().judge(run, trained)

    def stop(self) -> None:
        self.stopped.set()


def test_an_interruption_waits_for_those_at_work_to_save():
    class Interrupted(Slow):
        def judge(self, run: Toy, trained: Trained) -> str:
            super().judge(run, trained)
            raise KeyboardInterrupt

    bench = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        list(bench.run(RUNS, jobs=2))
    assert bench.trained == ["a", "b"]


def test_a_caller_who_wants_no_more_stops_those_at_work():
    bench = Slow()
    coming = bench.run(RUNS, jobs=2)
    assert next(coming)[0].name == "a"
    coming.close()
    assert bench.trained == ["a", "b"]


def test_runs_of_an_experiment_never_share_a_folder():
    assert len({training_folder(Path("out"), run) for run in RUNS}) == len(RUNS)
