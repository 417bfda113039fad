"""Laws of taking up an evaluation: what was judged is kept, what differs is judged anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.harness import evaluation
from launchers.cli import main

BOTH = "zero_shot_cfdbench,zero_shot_fno_ns_1e-5"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Pairs that are really judged, as they are."""
    run_task, pairs = evaluation.run_task, []

    def counted(forecaster: Any, task: Any, *rest: Any, **options: Any) -> Any:
        pairs.append((forecaster.facts.name, task.name))
        return run_task(forecaster, task, *rest, **options)

    monkeypatch.setattr(evaluation, "run_task", counted)
    return pairs


def _run(shards: Path, output: Path, *more: str, tasks: str = BOTH) -> list[dict[str, Any]]:
    arguments = ["--shards", str(shards), "--output", str(output), "--tasks", tasks, *more]
    assert main(["evaluate", "floor:persistence", *arguments]) == 0
    records: list[dict[str, Any]] = json.loads(output.read_text())["records"]
    return records


def test_the_same_command_judges_nothing_twice_and_changes_no_record(
    shards: Path, tmp_path: Path, judged: list[Any]
) -> None:
    output = tmp_path / "run.json"
    records = _run(shards, output)
    samples = (tmp_path / "run.samples.npz").read_bytes()
    assert len(judged) == 2
    assert _run(shards, output) == records
    assert (tmp_path / "run.samples.npz").read_bytes() == samples
    assert len(judged) == 2


def test_only_what_is_missing_is_judged_and_records_stand_in_the_order_asked(
    shards: Path, tmp_path: Path, judged: list[Any]
) -> None:
    output = tmp_path / "run.json"
    first = _run(shards, output, tasks="zero_shot_fno_ns_1e-5")
    records = _run(shards, output)
    assert [task for _, task in judged] == ["zero_shot_fno_ns_1e-5", "zero_shot_cfdbench"]
    assert [record["task"]["name"] for record in records] == BOTH.split(",")
    assert records[1] == first[0]


def test_records_that_were_not_asked_for_stay(
    shards: Path, tmp_path: Path, judged: list[Any]
) -> None:
    output = tmp_path / "run.json"
    both = _run(shards, output)
    again = _run(shards, output, tasks="zero_shot_fno_ns_1e-5")
    assert len(judged) == 2
    assert again == [both[1], both[0]]


@pytest.mark.parametrize("change", [["--limit", "2"], ["--save-predictions", "float16"]])
def test_what_is_asked_otherwise_is_judged_anew(
    change: list[str], shards: Path, tmp_path: Path, judged: list[Any]
) -> None:
    output = tmp_path / "run.json"
    _run(shards, output, tasks="zero_shot_cfdbench")
    _run(shards, output, *change, tasks="zero_shot_cfdbench")
    assert len(judged) == 2
    _run(shards, output, *change, tasks="zero_shot_cfdbench")
    assert len(judged) == 2


def test_changed_terms_are_judged_anew(shards: Path, tmp_path: Path, judged: list[Any]) -> None:
    output, tasks = tmp_path / "run.json", tmp_path / "tasks"
    tasks.mkdir()
    text = "{{name: short, version: 1, description: '', corpus: cfdbench, rollout_frames: {0}}}"
    for frames, expected in ((3, 1), (3, 1), (4, 2)):
        (tasks / "short.yaml").write_text(text.format(frames))
        _run(shards, output, "--include", str(tasks), tasks="short")
        assert len(judged) == expected


def test_a_kept_record_gets_todays_name(shards: Path, tmp_path: Path, judged: list[Any]) -> None:
    output = tmp_path / "run.json"
    _run(shards, output)
    records = _run(shards, output, "--name", "still")
    assert {record["model"]["name"] for record in records} == {"still"}
    assert len(judged) == 2


def test_overwriting_judges_all_anew_and_no_resume_refuses(
    shards: Path, tmp_path: Path, judged: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    _run(shards, output)
    _run(shards, output, "--overwrite")
    assert len(judged) == 4
    arguments = ["--shards", str(shards), "--output", str(output), "--tasks", BOTH]
    assert main(["evaluate", "floor:persistence", *arguments, "--no-resume"]) == 2
    assert "exists already; pass --overwrite" in capsys.readouterr().err


def test_results_whose_samples_are_gone_are_not_taken_up(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    _run(shards, output)
    (tmp_path / "run.samples.npz").unlink()
    arguments = ["--shards", str(shards), "--output", str(output), "--tasks", BOTH]
    assert main(["evaluate", "floor:persistence", *arguments]) == 2
    assert "cannot be taken up" in capsys.readouterr().err


def test_a_run_that_died_is_taken_up_where_it_stopped(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run.json"
    run_task, calls = evaluation.run_task, []

    def tired(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[1].name)
        if len(calls) == 2:
            raise MemoryError
        return run_task(*arguments, **options)

    monkeypatch.setattr(evaluation, "run_task", tired)
    arguments = ["--shards", str(shards), "--output", str(output), "--tasks", BOTH]
    with pytest.raises(MemoryError):
        main(["evaluate", "floor:persistence", *arguments])
    records = _run(shards, output)
    assert calls == ["zero_shot_cfdbench", *["zero_shot_fno_ns_1e-5"] * 2]
    assert [record["task"]["name"] for record in records] == BOTH.split(",")


@pytest.mark.parametrize(("save_takes_s", "expected"), [(0.0, [1, 2, 3, 3]), (1e3, [1, 3])])
def test_slow_saves_are_seldom_and_the_last_is_whole(
    save_takes_s: float,
    expected: list[int],
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, saved, save = [0.0], [], evaluation.save_results

    def slow(output: Path, judged: Any) -> None:
        clock[0] += save_takes_s
        saved.append(len(judged))
        save(output, judged)

    monkeypatch.setattr(evaluation, "save_results", slow)
    monkeypatch.setattr(evaluation.time, "monotonic", lambda: clock[0])
    records = _run(shards, tmp_path / "run.json", tasks=f"{BOTH},zero_shot_pdebench_cns_m0.1")
    assert saved == expected
    assert len(records) == 3


def test_of_a_group_tasks_without_shards_are_left_out_and_named(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = _run(shards, tmp_path / "run.json", tasks="zero_shot")
    assert [record["task"]["corpus"] for record in records] == [
        "cfdbench",
        "fno_ns_1e-5",
        "pdebench_cns_m0.1",
    ]
    printed = capsys.readouterr().err
    assert "left out: zero_shot_pdebench_swe: no test shards of pdebench_swe" in printed


def test_a_group_without_any_shards_is_an_error(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--shards", str(shards), "--output", str(tmp_path / "run.json")]
    assert main(["evaluate", "floor:persistence", *arguments, "--tasks", "downstream"]) == 2
    assert "no shards for any task of downstream" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
