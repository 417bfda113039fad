"""Laws of the verbs evaluate and leaderboard: exit codes, exact paths, what is printed."""

import json
from pathlib import Path

import pytest

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
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(
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


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--batch-size", "many"]])
def test_numbers_are_checked_at_the_edge(
    arguments: list[str], shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stopped:
        _evaluate(shards, tmp_path / "run.json", *arguments)
    assert stopped.value.code == 2
