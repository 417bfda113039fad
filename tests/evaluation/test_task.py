"""Laws of tasks: the built-in ones follow the cards, names are checked, hashes cover the terms."""

from pathlib import Path

import pytest

from data_shards.catalogue import expand, load_card
from data_shards.errors import UserError
from evaluation.task import Task, load_tasks, select_tasks

EXTRA = """
name: {name}
version: 1
description: a user's own
corpus: cfdbench
rollout_frames: 5
groups: [mine]
"""


@pytest.mark.parametrize("corpus", expand(["mixture_6"]))
def test_every_corpus_of_the_mixture_has_a_zero_shot_task_with_the_window_of_its_card(
    corpus: str,
) -> None:
    task, card = load_tasks()[f"zero_shot_{corpus}"], load_card(corpus)
    assert (task.corpus, task.split, task.headline) == (corpus, "test", "l2re")
    assert task.context_frames == card.context_frames
    assert task.rollout_frames == card.rollout_frames


def test_a_group_gives_its_tasks_and_a_task_asked_twice_comes_once() -> None:
    tasks = load_tasks()
    group = select_tasks(["zero_shot"], tasks)
    assert {task.corpus for task in group} == set(expand(["mixture_6"]))
    again = select_tasks(["zero_shot_pdebench_swe", "zero_shot"], tasks)
    assert again[0].name == "zero_shot_pdebench_swe"
    assert len(again) == len(group)


@pytest.mark.parametrize(
    ("asked", "meant"), [("zero_sht", "zero_shot"), ("zero_shot_cfdbnch", "zero_shot_cfdbench")]
)
def test_an_unknown_name_gets_the_nearest_known_one(asked: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"unknown task or group '{asked}'; did you mean.*{meant}"):
        select_tasks([asked], load_tasks())


def test_nothing_asked_is_refused() -> None:
    with pytest.raises(UserError, match=r"known groups: .*zero_shot"):
        select_tasks([], load_tasks())


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 2), ("rollout_frames", 9), ("split", "validation"), ("metrics", ("l2re",))],
)
def test_hash_changes_with_every_term(field: str, value: object) -> None:
    task = load_tasks()["zero_shot_cfdbench"]
    changed = Task.read(task.model_dump() | {field: value}, "task")
    assert changed.hash != task.hash


def test_hash_does_not_change_with_prose() -> None:
    task = load_tasks()["zero_shot_cfdbench"]
    changed = task.model_copy(update={"description": "said otherwise", "groups": ("more",)})
    assert changed.hash == task.hash


def test_a_task_speaks_only_of_flows_that_its_corpus_has() -> None:
    title = load_card("cfdbench").title
    said = load_tasks()["zero_shot_cfdbench"].description.partition(":")[0]
    flows = said.removeprefix("CFDBench ").replace(" and", ",").split(", ")
    assert flows == ["cavity", "tube", "cylinder"]
    assert all(flow in title for flow in flows)


def test_the_task_of_a_record_may_be_of_a_corpus_that_is_unknown_here() -> None:
    terms = load_tasks()["zero_shot_cfdbench"].model_dump() | {"corpus": "airfoil"}
    assert Task.read(terms, "record").corpus == "airfoil"


def test_a_users_folder_adds_tasks_and_groups(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(EXTRA.format(name="short"))
    tasks = load_tasks(tmp_path)
    assert select_tasks(["mine"], tasks) == (tasks["short"],)
    assert tasks["short"].rollout_frames == 5


def test_faulty_folders_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no task files"):
        load_tasks(tmp_path)
    path = tmp_path / "short.yaml"
    path.write_text(EXTRA.format(name="other"))
    with pytest.raises(UserError, match="its name says 'other'"):
        load_tasks(tmp_path)
    path.write_text(EXTRA.format(name="short").replace("cfdbench", "cfdbech"))
    with pytest.raises(UserError, match="did you mean 'cfdbench'"):
        load_tasks(tmp_path)
    path.write_text(EXTRA.format(name="short") + "metrics: [nrmse]\n")
    with pytest.raises(UserError, match="headline 'l2re' is not among metrics"):
        load_tasks(tmp_path)
    path.rename(tmp_path / "zero_shot_cfdbench.yaml")
    (tmp_path / "zero_shot_cfdbench.yaml").write_text(EXTRA.format(name="zero_shot_cfdbench"))
    with pytest.raises(UserError, match="exists already"):
        load_tasks(tmp_path)
