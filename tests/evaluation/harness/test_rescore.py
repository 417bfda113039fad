"""Laws of re-scoring: what comes from stored values is what a run would have measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.rescore import Rescoring, rescore
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.predictions import PredictionReader, PredictionWriter
from evaluation.records.record import Record
from evaluation.records.results import save_results
from evaluation.tasks.task import load_tasks
from launchers.cli import main

FURTHER = ("spectral_low", "valid_time", "drift_mass", "drift_energy", "boundary_error")
TASKS = "zero_shot_cfdbench,zero_shot_pdebench_cns_m0.1"


@pytest.fixture(scope="module")
def results(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("records") / "run.json"
    command = ["evaluate", "floor:persistence", "--shards", str(shards), "--tasks", TASKS]
    assert main([*command, "--output", str(output), "--save-predictions", "--batch-size", "2"]) == 0
    return output


def _direct(corpus: ShardedCorpus, **changes: Any) -> Record:
    """What a run on a task of changed terms measures."""
    task = load_tasks()[f"zero_shot_{corpus.name}"].model_copy(update=changes)
    floor = open_forecaster("floor:persistence", torch.device("cpu"))
    record, _ = run_task(floor, task, corpus, RunSettings(batch_size=2))
    return record


def test_nothing_asked_changes_nothing(results: Path) -> None:
    records = [Record.read(r, "r") for r in json.loads(results.read_text())["records"]]
    assert [record for record, _ in rescore(results, Rescoring())] == records


@pytest.mark.parametrize("position", [0, 1])
def test_metrics_from_predictions_are_those_of_a_run(
    position: int, results: Path, shards: Path, corpus: Callable[[str], ShardedCorpus]
) -> None:
    record, samples = rescore(results, Rescoring(metrics=FURTHER), shards)[position]
    expected = _direct(corpus(record.task.corpus), metrics=("l2re", *FURTHER)).scores
    assert {name: record.scores[name] for name in expected} == expected
    assert set(record.scores) == {"l2re", "nrmse", "vrmse", "max_error"} | set(expected)
    assert set(samples.values) == set(record.scores)
    assert record.task_hash == load_tasks()[record.task.name].hash, "the headline's terms stand"


def test_what_does_not_apply_stays_absent(results: Path, shards: Path) -> None:
    cavity, gas = (r.scores for r, _ in rescore(results, Rescoring(metrics=FURTHER), shards))
    assert "drift_mass" in gas
    assert "drift_mass" not in cavity
    assert "boundary_error" in cavity
    assert "boundary_error" not in gas


def test_metrics_of_the_curve_need_neither_predictions_nor_shards(
    results: Path, tmp_path: Path, corpus: Callable[[str], ShardedCorpus]
) -> None:
    for name in ("run.json", "run.samples.npz"):
        (tmp_path / name).write_bytes((results.parent / name).read_bytes())
    wanted = Rescoring(metrics=("valid_frames", "l2re_frame_3"))
    record, _ = rescore(tmp_path / "run.json", wanted)[0]
    direct = _direct(corpus("cfdbench"), metrics=("l2re", "valid_frames"), frames=(3,)).scores
    for name in wanted.metrics:
        assert record.scores[name] == direct[name]
    with pytest.raises(UserError, match=r"drift_mass of persistence .* needs the truth"):
        rescore(tmp_path / "run.json", Rescoring(metrics=("drift_mass",)))
    with pytest.raises(UserError, match="predicts 10 frames"):
        rescore(tmp_path / "run.json", Rescoring(metrics=("l2re_frame_11",)))


def test_without_predictions_the_way_to_get_them_is_named(
    results: Path, shards: Path, tmp_path: Path
) -> None:
    for name in ("run.json", "run.samples.npz"):
        (tmp_path / name).write_bytes((results.parent / name).read_bytes())
    with pytest.raises(UserError, match="evaluate with --save-predictions"):
        rescore(tmp_path / "run.json", Rescoring(metrics=("drift_mass",)), shards)


@pytest.mark.parametrize(
    "changes", [{"aggregation": "median"}, {"keys": "*-000001"}, {"keys": "*-00000[12]"}]
)
def test_another_aggregation_or_choice_is_the_record_of_a_changed_task(
    changes: dict[str, Any], results: Path, corpus: Callable[[str], ShardedCorpus]
) -> None:
    record, _ = rescore(results, Rescoring(**changes))[0]
    direct = _direct(corpus("cfdbench"), **changes)
    original = load_tasks()["zero_shot_cfdbench"]
    assert (record.task_hash, record.scores) == (direct.task_hash, direct.scores)
    assert (record.num_samples, record.error_per_frame) == (
        direct.num_samples,
        direct.error_per_frame,
    )
    assert record.task_hash != original.hash


def test_standard_errors_are_drawn_as_the_record_says(results: Path) -> None:
    few, _ = rescore(results, Rescoring(resamples=10))[0]
    same, _ = rescore(results, Rescoring())[0]
    assert few.bootstrap.resamples == 10
    assert few.headline.value == same.headline.value
    assert few.headline.standard_error != same.headline.standard_error


def test_keys_that_match_nothing_are_refused(results: Path) -> None:
    with pytest.raises(UserError, match="no sample has a key like 'x\\*'"):
        rescore(results, Rescoring(keys="x*"))


def test_other_shards_are_refused(results: Path, shards: Path, tmp_path: Path) -> None:
    changed = [
        (
            record.model_copy(
                update={
                    "provenance": record.provenance.model_copy(
                        update={"shard_fingerprint": "0" * 64}
                    )
                }
            ),
            samples,
        )
        for record, samples in rescore(results, Rescoring())
    ]
    save_results(tmp_path / "run.json", changed)
    with pytest.raises(UserError, match="the record was made with 0000000000"):
        rescore(tmp_path / "run.json", Rescoring(metrics=("valid_time",)), shards)


def test_the_verb_writes_a_results_file_that_can_be_read_again(
    results: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "again.json"
    command = ["rescore", str(results), "--output", str(output)]
    assert main([*command, "--metrics", "spectral_low,divergence", "--shards", str(shards)]) == 0
    assert "spectral_low" in capsys.readouterr().out
    again = rescore(output, Rescoring())
    assert "divergence" in again[0][0].scores
    nowhere = [*command, "--overwrite", "--metrics", "drift_smoke", "--shards", str(shards)]
    assert main(nowhere) == 0
    captured = capsys.readouterr()
    assert "drift_smoke applies to none of these tasks" in captured.err
    assert "drift_smoke" not in captured.out
    assert main([*command, "--overwrite", "--json", "--aggregate", "median"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(output.read_text())
    for more, message in (
        (["--metrics", "spectral"], "did you mean"),
        ([], "exists already"),
    ):
        overwrite = ["--overwrite"] if more else []
        assert main([*command, *more, *overwrite]) == 2
        assert message in capsys.readouterr().err
    assert main(["rescore", str(results), "--output", str(results), "--overwrite"]) == 2
    assert "the file to read" in capsys.readouterr().err


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    small = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 1, 3, 4)
    huge = 1e6 * small
    path = tmp_path / "folder" / "p.npz"
    with PredictionWriter(path, "float16") as writer:
        writer.add("a@0", small)
        writer.add("b@5", huge)
    assert sorted(p.name for p in path.parent.iterdir()) == ["p.npz"]
    with PredictionReader(path) as reader:
        # half the spacing of float16 below 1
        np.testing.assert_allclose(reader.read("a@0"), small, atol=2.0**-12)
        np.testing.assert_array_equal(reader.read("b@5"), huge)  # beyond float16, so kept whole
        with pytest.raises(UserError, match="no readable prediction of c@0"):
            reader.read("c@0")


def test_predictions_of_a_run_that_died_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    with pytest.raises(MemoryError), PredictionWriter(path, "float32"):
        raise MemoryError
    assert not list(tmp_path.iterdir())
