"""Laws of `foundation tasks`: it lists what evaluate takes."""

import json
from pathlib import Path

import pytest

from evaluation.metrics.names import METRICS
from evaluation.routing.task_file import load_routing_tasks
from evaluation.tasks.task import group_names, load_tasks
from launchers.cli import main


def test_the_table_has_every_task_and_every_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    printed = capsys.readouterr().out
    tasks = {**load_tasks(), **load_routing_tasks()}
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert set(tasks) <= set(rows)
    assert set(group_names(tasks.values())) <= set(rows)


def test_a_group_is_listed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--group", "rollout", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    known = load_tasks()
    expected = [name for name, task in known.items() if "rollout" in task.groups]
    assert [task["name"] for task in document["tasks"]] == expected
    assert document["groups"]["rollout"]["tasks"] == expected
    assert document["groups"]["rollout"]["description"]


def test_json_holds_the_terms_and_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    known = {**load_tasks(), **load_routing_tasks()}
    assert {task["name"]: task["hash"] for task in document["tasks"]} == {
        name: task.hash for name, task in known.items()
    }
    verbs = {task["name"]: task["judged_by"] for task in document["tasks"]}
    assert verbs["few_shot_wave_layer"] == "transfer"
    assert verbs["routing_mixture_6"] == "routing"
    assert verbs["zero_shot_cfdbench"] == "evaluate"
    assert document["metrics"]["valid_time"]["higher_is_better"] is True
    assert set(document["metrics"]) == set(METRICS)


def test_metrics_are_listed_with_their_direction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--metrics"]) == 0
    lines = capsys.readouterr().out.splitlines()
    arrows = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in lines}
    assert arrows["l2re"] == "↓"
    assert arrows["valid_frames"] == "↑"
    assert set(METRICS) <= set(arrows)


def test_a_folder_of_the_users_own_comes_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "{name: short, version: 1, description: '', corpus: cfdbench, rollout_frames: 4, "
    text += "groups: [mine]}"
    (tmp_path / "short.yaml").write_text(text)
    assert main(["tasks", "--include", str(tmp_path), "--group", "mine"]) == 0
    assert "short" in capsys.readouterr().out
    assert main(["tasks", "--group", "mine"]) == 2
    assert "unknown group 'mine'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("group", "verb"),
    [("few_shot", "transfer"), ("routing", "routing"), ("stability", "evaluate")],
)
def test_a_group_says_which_verb_judges_it(
    group: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "--group", group]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.split("|")[1].strip() == group
    assert last.split("|")[3].strip() == f"foundation {verb}"
