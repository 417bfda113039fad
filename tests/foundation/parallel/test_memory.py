"""Memory of a rank: kept when freed, counted in page faults, which no neighbour changes."""

import ctypes
import resource
from pathlib import Path

import pytest
import torch
from group import on_ranks
from runs import pretrain

from foundation.parallel.memory import keep_freed_memory


def page_faults() -> int:
    """Of a second time that large tensors of several sizes are filled and freed."""

    def fill() -> None:
        for mebibytes in (3, 40, 100):
            torch.ones(mebibytes, 2**18)

    fill()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def faults_when_kept() -> int:
    assert keep_freed_memory()
    return page_faults()


def faults_after_a_run(shards: Path, output: Path, setting: str) -> int:
    assert pretrain(shards, output, extra=("steps=1", setting)) == 0
    return page_faults()


@pytest.fixture(scope="module")
def faults_when_returned() -> int:
    return on_ranks(1, page_faults)[0]


def test_freed_memory_is_taken_again_without_page_faults(faults_when_returned):
    assert 20 * on_ranks(1, faults_when_kept)[0] < faults_when_returned


@pytest.mark.parametrize("keeps", [True, False])
def test_a_run_keeps_its_memory_unless_told_otherwise(keeps, faults_when_returned, waves, tmp_path):
    setting = f"keep_freed_memory={str(keeps).lower()}"
    (faults,) = on_ranks(1, faults_after_a_run, waves, tmp_path, setting)
    assert (20 * faults < faults_when_returned) == keeps


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
