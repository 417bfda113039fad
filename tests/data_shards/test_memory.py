"""Memory that is freed: kept, counted in page faults, which no neighbour changes."""

import ctypes
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from group import on_ranks
from runs import pretrain

from data_shards.memory import keep_freed_memory
from launchers.benchmarks.own_process import in_own_process

pytestmark = pytest.mark.dist


def page_faults() -> int:
    """Fewest of four times that large tensors of several sizes are filled and freed."""

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for mebibytes in (3, 40, 100):
            torch.ones(mebibytes, 2**18)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    return min(faults() for _ in range(4))


def faults_when_kept() -> int:
    assert keep_freed_memory()
    return page_faults()


def faults_after_a_run(shards: Path, output: Path, settings: tuple[str, ...]) -> int:
    assert pretrain(shards, output, extra=("steps=1", *settings)) == 0
    return page_faults()


def noting_faults(path: Path) -> Callable[[], None]:
    return lambda: path.write_text(str(page_faults())) and None


def faults_of_a_yardstick_beside_one_that_keeps(path: Path) -> int:
    assert keep_freed_memory()
    with in_own_process(noting_faults, path) as way:
        way()
    return int(path.read_text())


@pytest.fixture(scope="module")
def faults_when_returned() -> int:
    return on_ranks(1, page_faults)[0]


def test_freed_memory_is_taken_again_without_page_faults(faults_when_returned):
    assert 20 * on_ranks(1, faults_when_kept)[0] < faults_when_returned


@pytest.mark.parametrize(("settings", "keeps"), [((), True), (("keep_freed_memory=false",), False)])
def test_a_run_keeps_its_memory_unless_told_otherwise(
    settings, keeps, faults_when_returned, waves, tmp_path
):
    (faults,) = on_ranks(1, faults_after_a_run, waves, tmp_path, settings)
    assert (20 * faults < faults_when_returned) == keeps


def test_a_yardstick_of_the_bench_does_not_profit(faults_when_returned, tmp_path):
    path = tmp_path / "faults"
    (faults,) = on_ranks(1, faults_of_a_yardstick_beside_one_that_keeps, path)
    assert faults == pytest.approx(faults_when_returned, rel=0.1)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
