"""Ranks on CPUs share their machine's cores."""

import os

import pytest

from foundation.parallel.launch import threads_of_rank


@pytest.mark.parametrize(
    ("ranks", "asked", "threads"),
    [
        (2, None, 4),
        (3, None, 2),
        (16, None, 1),
        (2, "1", 1),
        (2, "16", 4),  # of 8 cores
        (2, "0", 4),
        (2, "4,2", 4),  # nested, which torch does not do
    ],
)
def test_a_rank_takes_its_share_of_cores_or_fewer_if_asked(ranks, asked, threads, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads_of_rank(ranks) == threads
