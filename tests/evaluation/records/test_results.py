"""Laws of results files: what is written is what was measured, whole or not at all."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.kinds import RecordFolder
from evaluation.records.record import Record, aggregate_all
from evaluation.records.results import check_writable, read_results, results_in, save_results
from evaluation.records.samples import SampleValues, read_samples
from evaluation.tasks.task import load_tasks
from launchers.cli import main

Judged = list[tuple[Record, SampleValues]]


@pytest.fixture
def judged(corpus: Callable[[str], ShardedCorpus]) -> Judged:
    names = ("cfdbench", "fno_ns_1e-5")
    floor = open_forecaster("floor:persistence", torch.device("cpu"))
    tasks = load_tasks()
    return [run_task(floor, tasks[f"zero_shot_{n}"], corpus(n), RunSettings()) for n in names]


def test_results_read_back_as_they_were_written(judged: Judged, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    save_results(output, judged)
    result = read_results(output)
    assert result is not None
    assert list(result.records) == [record for record, _ in judged]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.samples.npz"]


def test_every_record_aggregates_again_from_its_samples(judged: Judged, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    save_results(output, judged)
    result = read_results(output)
    assert result is not None
    for position, record in enumerate(result.records):
        samples = read_samples(tmp_path / result.samples_file, position)
        assert aggregate_all(samples.values) == record.scores
        np.testing.assert_array_equal(samples.per_frame.mean(0), record.error_per_frame)
        picture, written = samples.picture, judged[position][1].picture
        assert picture is not None
        assert written is not None
        np.testing.assert_array_equal(picture.truth, written.truth)


def test_a_diverged_score_survives_as_strict_json(judged: Judged, tmp_path: Path) -> None:
    record, samples = judged[0]
    values = {name: np.array([0.1, np.inf]) for name in samples.values}
    diverged = record.model_copy(update={"scores": aggregate_all(values)})
    save_results(tmp_path / "run.json", [(diverged, samples)])

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    result = read_results(tmp_path / "run.json")
    assert result is not None
    assert result.records[0].headline.value == float("inf")


def test_a_record_names_data_code_and_machine(judged: Judged) -> None:
    for record, _ in judged:
        assert record.task_hash == record.task.hash
        assert len(record.provenance.shard_fingerprint) == 64
        assert record.provenance.git_commit
        assert record.provenance.machine.torch == torch.__version__
        assert record.seconds > 0
    assert len({record.provenance.shard_fingerprint for record, _ in judged}) == 2


def test_a_save_that_fails_is_an_error(judged: Judged, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be written"):
        save_results(tmp_path / "gone" / "run.json", judged)


def test_an_existing_output_is_refused_unless_asked(tmp_path: Path) -> None:
    output = tmp_path / "new" / "run.json"
    check_writable(output, overwrite=False)
    output.write_text("{}")
    with pytest.raises(UserError, match="exists already; pass --overwrite"):
        check_writable(output, overwrite=False)
    check_writable(output, overwrite=True)
    with pytest.raises(UserError, match="a folder"):
        check_writable(tmp_path, overwrite=True)
    with pytest.raises(UserError, match="cannot be made"):
        check_writable(output / "below" / "run.json", overwrite=False)


def test_a_folder_gives_its_results_and_passes_over_other_json(
    judged: Judged, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no results files"):
        results_in(RecordFolder(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "moe_pot"}')
    (tmp_path / "b").mkdir()
    save_results(tmp_path / "b" / "run.json", judged)
    assert [path.name for path, _ in results_in(RecordFolder(tmp_path))] == ["run.json"]
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken\.json: not readable as JSON"):
        results_in(RecordFolder(tmp_path))


def _changed(judged: Judged, output: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A results file whose second record was changed by another hand."""
    save_results(output, judged)
    document = json.loads(output.read_text())
    change(document["records"][1])
    output.write_text(json.dumps(document))
    return output


@pytest.mark.parametrize("value", [float("nan"), "NaN", float("-inf"), "-Infinity"])
@pytest.mark.parametrize("metric", ["l2re", "max_error"])
def test_a_score_without_an_order_is_refused_by_file_record_and_metric(
    judged: Judged, tmp_path: Path, value: float | str, metric: str
) -> None:
    output = _changed(
        judged, tmp_path / "run.json", lambda record: record["scores"][metric].update(value=value)
    )
    named = rf"run\.json: record 1 \(persistence on zero_shot_fno_ns_1e-5\): {metric} is (nan|-inf)"
    with pytest.raises(UserError, match=named):
        read_results(output)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["scores"].pop("l2re"), "no score 'l2re', the headline of its task"),
        (lambda r: r["task"].update(rollout_frames=3), "its task_hash is"),
        (lambda r: r.update(task_hash="0" * 64), "its task_hash is 0000000000, the task in it has"),
        (lambda r: r["scores"]["vrmse"].update(standard_error="NaN"), "standard_error of vrmse"),
        (lambda r: r["error_per_frame"].__setitem__(2, "NaN"), "error_per_frame is nan"),
    ],
)
def test_a_record_that_no_run_writes_is_refused(
    judged: Judged, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    output = _changed(judged, tmp_path / "run.json", change)
    with pytest.raises(UserError, match=message):
        read_results(output)


def test_a_folder_whose_files_hold_no_records_is_refused(judged: Judged, tmp_path: Path) -> None:
    save_results(tmp_path / "empty.json", [])
    with pytest.raises(UserError, match="hold no records"):
        results_in(RecordFolder(tmp_path))
    save_results(tmp_path / "run.json", judged)
    assert [len(results.records) for _, results in results_in(RecordFolder(tmp_path))] == [0, 2]


def test_missing_samples_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no readable values of record 0"):
        read_samples(tmp_path / "run.samples.npz", 0)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    """One bit of the values flipped, which only the checksum can tell."""
    middle = len(content) // 4
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: b"text", _cut, _flipped])
def test_damaged_samples_are_the_users_to_mend(
    damage: Callable[[bytes], bytes], judged: Judged, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    save_results(output, judged)
    samples = tmp_path / "run.samples.npz"
    samples.write_bytes(damage(samples.read_bytes()))
    assert main(["rescore", str(output), "--output", str(tmp_path / "again.json")]) == 2
    with pytest.raises(UserError, match="no readable values of record"):
        [read_samples(samples, position, record) for position, (record, _) in enumerate(judged)]


def test_values_are_found_by_what_they_are_of_and_those_of_others_are_refused(
    judged: Judged, tmp_path: Path
) -> None:
    """As after a run that was killed when its new samples were written and its records not."""
    save_results(tmp_path / "run.json", judged[::-1])
    samples = tmp_path / "run.samples.npz"
    for position, (record, values) in enumerate(judged):
        assert read_samples(samples, position, record).keys == values.keys
    stranger = judged[0][0].model_copy(update={"num_samples": 1})
    with pytest.raises(UserError, match="of other records"):
        read_samples(samples, 0, stranger)


def test_values_that_do_not_fit_their_record_are_refused(judged: Judged, tmp_path: Path) -> None:
    (record, values), _ = judged
    picture = values.picture
    assert picture is not None
    scores = dict(values.values)
    del scores["l2re"]
    for changed, message in (
        (replace(values, values=scores), "no values of l2re"),
        (replace(values, keys=values.keys[1:]), "samples, the record has"),
        (replace(values, per_frame=values.per_frame[1:]), "arrays of different lengths"),
        (replace(values, per_frame=values.per_frame[:, 0]), "more or fewer axes"),
        (replace(values, picture=replace(picture, truth=picture.truth[0])), r"wanted \(F, C"),
        (replace(values, picture=replace(picture, fluid=picture.fluid[1:])), "fluid is"),
        (replace(values, picture=replace(picture, frames=picture.frames[:0])), "frames is"),
        (replace(values, picture=replace(picture, boxes=np.array([2, 0, 2]))), "than one box"),
        (replace(values, picture=replace(picture, boxes=np.array(["a"] * 3))), "boxes is"),
    ):
        save_results(tmp_path / "run.json", [(record, changed)])
        with pytest.raises(UserError, match=message):
            read_samples(tmp_path / "run.samples.npz", 0, record)
