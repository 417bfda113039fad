"""Laws of shared evaluation: the number of processes shows in no score and in no file."""

import os
from pathlib import Path

import numpy as np
import pytest
from group import on_ranks

from evaluation.harness.ranks import Ranks
from evaluation.records.record import ResultFile, predictions_path
from evaluation.records.results import read_results
from evaluation.records.samples import read_samples

TASKS = "zero_shot_fno_ns_1e-5,zero_shot_cfdbench"


MINE = """
from evaluation.foreign import ForeignModel

def halved():
    return ForeignModel(lambda context, steps: context[:, -1:].repeat(1, steps, 1, 1, 1) / 2)
"""


def _evaluate(checkpoint: Path, shards: Path, output: Path, tasks: str = TASKS) -> int:
    from launchers.cli import main

    os.chdir(output.parent)
    return main(
        [
            *("evaluate", str(checkpoint), "floor:persistence", "mine_of_ranks:halved"),
            *("--shards", str(shards)),
            *("--tasks", tasks, "--output", str(output), "--batch-size", "2"),
            *("--save-predictions", "--device", "cpu"),
        ]
    )


def _results(output: Path) -> ResultFile:
    results = read_results(output)
    assert results is not None
    return results


@pytest.mark.dist
@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_ranks_equal_one_bit_for_bit(
    world: int, checkpoint: Path, shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine_of_ranks.py").write_text(MINE)
    outputs = [tmp_path / "one.json", tmp_path / "many.json"]
    for ranks, output in zip((1, world), outputs, strict=True):
        assert on_ranks(ranks, _evaluate, checkpoint, shards, output) == [0] * ranks
    one, many = map(_results, outputs)
    assert len(one.records) == len(many.records) == 6
    for position, (a, b) in enumerate(zip(one.records, many.records, strict=True)):
        assert (a.scores, a.error_per_frame) == (b.scores, b.error_per_frame)
        assert (a.num_samples, a.num_non_finite) == (b.num_samples, b.num_non_finite)
        left, right = (read_samples(tmp_path / r.samples_file, position) for r in (one, many))
        assert left.keys == right.keys
        np.testing.assert_array_equal(left.per_frame, right.per_frame)
        files = (predictions_path(output, a.model, a.task) for output in outputs)
        with np.load(next(files)) as first, np.load(next(files)) as second:
            assert first.files == second.files == list(left.keys)
            for key in left.keys:
                np.testing.assert_array_equal(first[key], second[key])


@pytest.mark.dist
def test_a_users_error_ends_all_ranks_with_code_2(
    checkpoint: Path, shards: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    (tmp_path / "mine_of_ranks.py").write_text(MINE)
    codes = on_ranks(2, _coded, checkpoint, shards, output, "zero_shot_pdebench_swe")
    assert codes == [2, 2]
    assert [path.name for path in tmp_path.glob("*.*")] == ["mine_of_ranks.py"]


def _coded(checkpoint: Path, shards: Path, output: Path, tasks: str) -> object:
    try:
        return _evaluate(checkpoint, shards, output, tasks)
    except SystemExit as stopped:
        return stopped.code


def test_one_rank_needs_no_group() -> None:
    alone = Ranks()
    assert alone.is_first
    assert alone.gather(3) == [3]
    assert alone.gather(None) == []
    assert alone.share(0) == 0
    alone.wait()
