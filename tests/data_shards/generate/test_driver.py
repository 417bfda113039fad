"""The driver gives the trajectories of `simulate`, in order, whatever the number of workers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from functools import partial
from operator import add
from pathlib import Path

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate import SimulationError, driver, simulate
from data_shards.generate.driver import InTurn, Series, generate_corpus, worker_pool

CARD = load_card("pdebench_dr")
COMMON = {"split": "train", "resolution": 8, "seed": 5}


@pytest.fixture(scope="module")
def pool():
    """Two workers, which take seconds to start, for all who leave them as they were."""
    with worker_pool(2) as pool:
        yield pool


def test_one_and_two_workers_give_the_same_trajectories_in_order(pool):
    alone = list(generate_corpus(CARD, count=10, **COMMON))
    pooled = list(generate_corpus(CARD, count=10, pool=pool, **COMMON))
    again = list(generate_corpus(CARD, count=2, pool=pool, **COMMON))
    assert [t.index for t in pooled] == list(range(10))
    for ours, theirs in zip(alone, pooled, strict=True):
        np.testing.assert_array_equal(ours.fields, theirs.fields)
    np.testing.assert_array_equal(again[1].fields, alone[1].fields)
    direct = simulate(CARD, index=7, **COMMON)
    np.testing.assert_array_equal(pooled[7].fields, direct.fields)


def test_a_refused_trajectory_stops_the_corpus_and_names_itself(pool):
    narrow = {"reaction_k": CARD.parameters["reaction_k"].model_copy(update={"high": 1e-3})}
    card = CARD.model_copy(update={"parameters": CARD.parameters | narrow})
    for workers in (None, pool):
        with pytest.raises(SimulationError, match="pdebench_dr trajectory 0: reaction_k"):
            list(generate_corpus(card, count=3, pool=workers, **COMMON))


def test_workers_get_one_thread_each_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with driver._one_thread_for_children():
        assert all(os.environ[name] == "1" for name in driver.THREAD_VARIABLES)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_worker_that_dies_is_a_clear_error_and_not_a_hang():
    with pytest.raises(UserError, match="fewer than 2 workers"), worker_pool(2) as pool:
        list(InTurn([Series(os._exit, 3)], pool).trajectories(0))


def test_no_trajectories_are_an_empty_corpus():
    assert list(generate_corpus(CARD, count=0, **COMMON)) == []


def test_a_reader_that_stops_early_leaves_no_process_behind():
    before = set(multiprocessing.active_children())
    with worker_pool(2) as pool:
        trajectories = generate_corpus(CARD, count=1000, pool=pool, **COMMON)
        assert next(trajectories).index == 0
    assert set(multiprocessing.active_children()) == before


KILLED_PARENT = """
import os, signal, sys, time
from data_shards.generate.driver import worker_pool
if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_of_a_killed_parent_end_too(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(KILLED_PARENT)
    root = Path(driver.__file__).parents[2]
    parent = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        timeout=120,
    )
    assert parent.returncode == -signal.SIGKILL
    worker = Path(f"/proc/{int(parent.stdout)}/stat")
    deadline = time.monotonic() + 20
    while worker.exists() and worker.read_text().split()[2] != "Z":  # a zombie waits for init
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)


def test_numbers_out_of_range_are_the_users_error():
    with pytest.raises(UserError, match="wanted 0 or more"):
        generate_corpus(CARD, count=-1, **COMMON)
    with pytest.raises(UserError, match="wanted 1 or more"), worker_pool(0):
        pass


class Bookkeeper:
    """A pool that makes everything at once and notes what it was asked for."""

    def __init__(self):
        self.asked = []

    def submit(self, make, index):
        self.asked.append(make(index))
        future = Future()
        future.set_result(make(index))
        return future


def test_the_next_split_begins_while_the_last_trajectories_of_this_one_are_on_their_way():
    pool = Bookkeeper()
    turn = InTurn([Series(partial(add, 100), 3), Series(partial(add, 200), 3)], pool)
    assert next(turn.trajectories(0)) == 100
    assert pool.asked == [100, 101, 102, 200, 201, 202][: driver.AHEAD + 1]


def test_several_series_in_turn_give_each_of_them_whole_and_in_order(pool):
    counts = (5, 0, 40, 1)
    series = [Series(partial(add, 100 * number), count) for number, count in enumerate(counts)]
    turn = InTurn(series, pool)
    came = [list(turn.trajectories(number)) for number in range(len(counts))]
    assert came == [[100 * n + i for i in range(count)] for n, count in enumerate(counts)]


def test_what_a_stopped_run_had_made_is_not_given_again():
    pool = Bookkeeper()
    turn = InTurn([Series(abs, 2), Series(abs, 200)], pool)
    assert list(turn.trajectories(0)) == [0, 1]
    assert list(turn.trajectories(1, first=150)) == list(range(150, 200))
    # Only what was begun ahead is lost.
    assert len(pool.asked) <= 2 + 50 + driver.AHEAD
