"""Laws of the verbs evaluate and leaderboard: exit codes, exact paths, what is printed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_shards.hashing import sha256_of
from data_shards.shards.manifest import read_manifest
from evaluation.harness import evaluation
from evaluation.records.results import read_results
from evaluation.records.samples import read_samples
from launchers.cli import main

TASKS = "zero_shot_cfdbench,zero_shot_fno_ns_1e-5"
FLOORS = ["floor:persistence", "floor:context_mean"]


def _evaluate(shards: Path, output: Path, *more: str, targets: list[str] | None = None) -> int:
    arguments = ["--shards", str(shards), "--output", str(output), "--tasks", TASKS, *more]
    return main(["evaluate", *(targets or FLOORS), *arguments])


def test_floors_go_from_shards_to_a_board(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "records" / "floors.json"
    assert _evaluate(shards, output) == 0
    table = capsys.readouterr().out
    header = table.splitlines()[0]
    columns = ["Tasks", "Version", "Metric", "Value", "±", "samples", "s"]
    assert [name for name in header.replace("|", " ").split() if name in columns] == columns
    assert "zero_shot_cfdbench" in table
    assert output.is_file()
    assert main(["leaderboard", str(output.parent), "--output", str(tmp_path / "board")]) == 0
    printed = capsys.readouterr().out
    assert "persistence (floor)" in printed
    assert str(tmp_path / "board" / "index.html") in printed
    assert (tmp_path / "board" / "index.html").is_file()


def test_a_corpus_that_no_task_is_written_for_is_judged_by_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = 1 + np.random.default_rng(0).random((2, 14, 8, 8)).cumsum(1)
    np.save(tmp_path / "mine.npy", runs)
    shards, output = tmp_path / "shards", tmp_path / "mine.json"
    convert = ["--raw", str(tmp_path / "mine.npy"), "--out", str(shards), "--split", "test"]
    options = ["--option", "axes=s,t,y,x"]
    assert main(["shards", "convert", "custom", *convert, *options]) == 0
    words = ["--shards", str(shards), "--output", str(output)]
    assert main(["evaluate", FLOORS[0], *words, "--tasks", "zero_shot_custom"]) == 0
    (record,) = json.loads(output.read_text())["records"]
    assert (record["task"]["rollout_frames"], record["num_samples"]) == (4, 2)
    last, future = runs[:, 9:10], runs[:, 10:]
    errors = np.sqrt(((future - last) ** 2).sum((1, 2, 3)) / (future**2).sum((1, 2, 3)))
    assert record["scores"]["l2re"]["value"] == pytest.approx(errors.mean(), rel=1e-5)
    capsys.readouterr()
    assert main(["evaluate", FLOORS[0], *words, "--tasks", "zero_shot_costum"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'zero_shot_custom'" in said
    assert len(said) < 300


def test_json_prints_the_results_file_and_nothing_else(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    names = ["--name", "still", "--name", "mean"]
    assert _evaluate(shards, output, "--json", "--limit", "2", *names) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(output.read_text())
    judged = [(record["model"]["name"], record["num_samples"]) for record in document["records"]]
    assert judged == [("still", 2), ("still", 2), ("mean", 2), ("mean", 2)]


def test_an_existing_output_stays_unless_overwriting_is_asked(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    output.write_text("precious")
    assert _evaluate(shards, output) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert _evaluate(shards, output, "--overwrite", "--limit", "1") == 0
    assert json.loads(output.read_text())["format"] == "foundation-evaluation"


def test_a_crash_late_in_a_run_loses_only_the_pair_it_hit(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of four pairs fails as memory would; the two before it are on disk."""
    output = tmp_path / "run.json"
    judge, calls = evaluation.run_task, []

    def tired(*arguments, **options):  # type: ignore[no-untyped-def]
        calls.append(arguments)
        if len(calls) == 3:
            raise MemoryError
        return judge(*arguments, **options)

    monkeypatch.setattr(evaluation, "run_task", tired)
    with pytest.raises(MemoryError):
        _evaluate(shards, output)
    saved = read_results(output)
    assert saved is not None
    assert [record.task.name for record in saved.records] == TASKS.split(",")
    for position, record in enumerate(saved.records):
        samples = read_samples(tmp_path / saved.samples_file, position)
        assert len(samples.keys) == record.num_samples
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.samples.npz"]


def test_an_existing_output_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    output.write_text("precious")
    assert _evaluate(tmp_path / "no" / "shards", output) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_changed_shard_of_the_same_size_is_refused_by_name(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    name = read_manifest(copy).entry("cfdbench", "test").shards[0].name
    content = (copy / name).read_bytes()
    # One value of one field: the headers stay readable and the size is the same.
    place = content.index(b"\x93NUMPY") + 512
    (copy / name).write_bytes(content[:place] + b"\x01\x02" + content[place + 2 :])
    assert (copy / name).stat().st_size == (shards / name).stat().st_size
    assert sha256_of(copy / name) != sha256_of(shards / name)
    output = tmp_path / "records" / "run.json"
    assert _evaluate(copy, output) == 2
    printed = capsys.readouterr().err
    assert name in printed
    assert "sha256" in printed
    assert len(printed.splitlines()) == 1, "no forecast was made before"
    assert not output.exists()


def test_a_split_that_two_tasks_share_is_hashed_once(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "{name: short, version: 1, description: '', corpus: cfdbench, rollout_frames: 4}"
    (tmp_path / "short.yaml").write_text(text)
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("data_shards.hashing.sha256_of", counted)
    more = ["--tasks", "short,zero_shot_cfdbench", "--include", str(tmp_path), "--limit", "1"]
    assert _evaluate(shards, tmp_path / "run.json", *more) == 0
    assert hashed == [s.name for s in read_manifest(shards).entry("cfdbench", "test").shards]


@pytest.mark.parametrize(
    ("more", "targets", "message"),
    [
        (["--tasks", "zero_sht"], None, "did you mean 'zero_shot'"),
        (["--tasks", "zero_shot_pdebench_swe"], None, "pdebench_swe"),
        (["--name", "one"], None, "--name came 1 times for 2 targets"),
        (["--device", "tpu9"], None, "--device"),
        ([], ["floor:persistance"], "did you mean 'persistence'"),
        ([], ["no/such/checkpoint"], "no/such/checkpoint"),
    ],
)
def test_what_a_user_can_fix_is_one_line_and_exit_code_2(
    more: list[str],
    targets: list[str] | None,
    message: str,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _evaluate(shards, tmp_path / "run.json", *more, targets=targets) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("error: ") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_without_records_is_a_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", str(tmp_path), "--output", str(tmp_path / "board")]) == 2
    assert "foundation evaluate" in capsys.readouterr().err


def test_a_board_of_odd_records_is_a_users_error_of_one_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "records" / "run.json"
    assert _evaluate(shards, output, "--limit", "1") == 0
    capsys.readouterr()
    document = json.loads(output.read_text())
    score = document["records"][0]["scores"]["l2re"]
    score["value"] = float("nan")
    for records, message in ((document["records"], "l2re is nan"), ([], "hold no records")):
        output.write_text(json.dumps(document | {"records": records}))
        assert main(["leaderboard", str(output.parent), "--output", str(tmp_path / "b")]) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--batch-size", "many"]])
def test_numbers_are_checked_at_the_edge(
    arguments: list[str], shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stopped:
        _evaluate(shards, tmp_path / "run.json", *arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        ("few_shot", "foundation transfer CHECKPOINT --task few_shot_"),
        ("few_shot_wave_layer", "foundation transfer CHECKPOINT --task few_shot_wave_layer"),
        ("routing", "foundation routing CHECKPOINT --task routing_"),
        ("routing_mixture_6", "foundation routing CHECKPOINT --task routing_mixture_6"),
    ],
)
def test_what_other_verbs_judge_is_pointed_to_them(
    asked: str, way: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--shards", str(shards), "--output", str(tmp_path / "r.json")]
    assert main(["evaluate", *FLOORS, *output, "--tasks", asked]) == 2
    assert way in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
