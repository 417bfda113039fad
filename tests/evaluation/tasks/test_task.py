"""Laws of tasks: the built-in ones follow the cards, names are checked, hashes cover the terms."""

from pathlib import Path

import pytest

from data_shards.catalogue import expand, ladder_names, load_card, load_ladder
from data_shards.errors import UserError
from evaluation.routing.task import RoutingTask
from evaluation.routing.task_file import load_routing_tasks
from evaluation.tasks.task import BUILT_IN, Task, group_names, load_tasks, select_tasks

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
    with pytest.raises(UserError, match=r"short\.yaml: no folder"):
        load_tasks(path)
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


# Records that were published with these hashes must stay comparable with new ones.
PUBLISHED = {
    "zero_shot_cfdbench": "9495bee934",
    "zero_shot_fno_ns_1e-3": "3d247f6dde",
    "zero_shot_fno_ns_1e-5": "d8d07a158f",
    "zero_shot_pdebench_cns_m0.1": "e10b0ab80d",
    "zero_shot_pdebench_dr": "c2366507ef",
    "zero_shot_pdebench_swe": "7637216f1e",
}


def test_the_first_tasks_keep_their_hashes() -> None:
    tasks = load_tasks()
    assert {name: tasks[name].hash[:10] for name in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize(
    ("field", "silent", "said"),
    [
        ("kind", "forecast", "routing"),
        ("windows", [0], [0, 5]),
        ("frames", [], [1]),
        ("valid_threshold", 0.2, 0.3),
        ("conserved", {}, {"mass": ["u"]}),
        ("solenoidal", None, ["u", "v"]),
        ("aggregation", "mean", "median"),
        ("keys", "*", "*-000001"),
        ("few_shot", [], [4]),
        ("free_frames", 0, 5),
        ("protocol", "own", "reference"),
        ("vrmse", "points", "the_well"),
        ("bands", None, {"level": 0.8}),
    ],
)
def test_a_later_option_enters_the_hash_only_where_it_says_something(
    field: str, silent: object, said: object
) -> None:
    task = load_tasks()["zero_shot_cfdbench"]
    terms = task.model_dump(exclude={field})
    assert Task.read(terms | {field: silent}, "task").hash == task.hash
    assert Task.read(terms | {field: said}, "task").hash != task.hash


def test_which_frames_are_asked_enters_the_hash_of_steady_tasks_alone() -> None:
    terms = load_tasks()["zero_shot_cfdbench"].model_dump(exclude={"asked"})
    assert Task.read(terms, "task").hash == load_tasks()["zero_shot_cfdbench"].hash
    assert Task.read({**terms, "asked": "same"}, "task").hash != Task.read(terms, "task").hash
    with pytest.raises(UserError, match="asked=same asks the frames that are given"):
        Task.read({**terms, "asked": "same", "context_frames": 1}, "task")


def test_every_option_enters_the_hash() -> None:
    """A new option of the task must be listed in the test above or in the first tasks."""
    first = {"name", "version", "corpus", "split", "context_frames", "rollout_frames"}
    first |= {"metrics", "headline", "higher_is_better"}
    prose = {"description", "groups"}
    later = {"kind", "windows", "frames", "valid_threshold", "conserved", "solenoidal"}
    later |= {"aggregation", "keys", "few_shot", "free_frames", "asked", "bands", "protocol"}
    later |= {"vrmse"}
    assert set(Task.model_fields) == first | prose | later


def test_the_direction_follows_from_the_headline() -> None:
    terms = load_tasks()["zero_shot_cfdbench"].model_dump(exclude={"higher_is_better"})
    later = terms | {"metrics": ("l2re", "valid_time"), "headline": "valid_time"}
    assert not Task.read(terms, "task").higher_is_better
    assert Task.read(later, "task").higher_is_better
    with pytest.raises(UserError, match="does not fit headline 'l2re'"):
        Task.read(terms | {"higher_is_better": True}, "task")


def test_chosen_frames_are_scores_and_may_be_the_headline() -> None:
    terms = load_tasks()["zero_shot_cfdbench"].model_dump()
    terms |= {"metrics": ("l2re",), "frames": (1, 10), "headline": "l2re_frame_10"}
    assert Task.read(terms, "task").measured == ("l2re", "l2re_frame_1", "l2re_frame_10")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["l2re", "spectral_lo"]}, "did you mean 'spectral_low'"),
        ({"metrics": ["l2re", "l2re"]}, "names one twice"),
        ({"windows": []}, "windows is empty"),
        ({"windows": [0, 0]}, "names one twice"),
        ({"frames": [11]}, r"frames \[11\] lie beyond rollout_frames=10"),
        ({"conserved": {"mass": ["f(u)"]}}, "is not allowed"),
        ({"kind": "few_shot"}, "kind few_shot needs few_shot"),
        ({"window": [0]}, "did you mean 'windows'"),
    ],
)
def test_faulty_terms_are_refused(change: dict[str, object], message: str) -> None:
    terms = load_tasks()["zero_shot_cfdbench"].model_dump()
    with pytest.raises(UserError, match=message):
        Task.read(terms | change, "task")


def test_windows_that_leave_the_corpus_are_refused_on_load(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(EXTRA.format(name="short") + "windows: [0, 6]\n")
    with pytest.raises(UserError, match="it looks at 21 frames, corpus cfdbench has 20"):
        load_tasks(tmp_path)


FAMILY = """
name: mine
version: 1
description: "CORPUS: a user's own"
corpora: {corpora}
groups: [mine]
"""


def test_a_family_has_one_task_per_corpus_with_the_window_of_its_card(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FAMILY.format(corpora="[cfdbench, mixture_6]"))
    tasks = select_tasks(["mine"], load_tasks(tmp_path))
    assert sorted(task.corpus for task in tasks) == sorted(expand(["mixture_6"]))
    for task in tasks:
        card = load_card(task.corpus)
        assert task.name == f"mine_{task.corpus}"
        assert task.rollout_frames == card.rollout_frames
        assert task.description == f"{card.title}: a user's own"


def test_a_family_of_a_ladder_has_one_task_per_rung(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        FAMILY.format(corpora="[ns_viscosity]") + "rollout_frames: 7\n"
    )
    tasks = select_tasks(["mine"], load_tasks(tmp_path))
    assert [task.corpus for task in tasks] == load_ladder("ns_viscosity").rung_names()
    assert {task.rollout_frames for task in tasks} == {7}


@pytest.mark.parametrize(
    ("corpora", "message"),
    [("[ns_viscsity]", "did you mean 'ns_viscosity"), ("cfdbench", "wanted a list of corpora")],
)
def test_a_family_of_unknown_corpora_is_refused(corpora: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FAMILY.format(corpora=corpora))
    with pytest.raises(UserError, match=message):
        load_tasks(tmp_path)


def test_a_users_groups_gather_tasks_of_others(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(EXTRA.format(name="short"))
    (tmp_path / "groups.yaml").write_text(
        "favourites: {description: what I look at, tasks: [short, zero_shot_cfdbench]}"
    )
    tasks = select_tasks(["favourites"], load_tasks(tmp_path))
    assert {task.name for task in tasks} == {"short", "zero_shot_cfdbench"}
    (tmp_path / "groups.yaml").write_text("favourites: {description: '', tasks: [shrt]}")
    with pytest.raises(UserError, match="did you mean 'short'"):
        load_tasks(tmp_path)


def test_built_in_groups_hold_what_they_say() -> None:
    tasks = load_tasks()
    rungs = [r for name in ladder_names() for r in load_ladder(name).rung_names()]
    forecast = [rung for rung in rungs if load_card(rung).window == "next"]
    corpora = {
        group: {task.corpus for task in select_tasks([group], tasks)}
        for group in ("paper_table1", "downstream", "ood", "rollout", "few_shot", "stability")
    }
    assert corpora["paper_table1"] == set(expand(["mixture_6"]))
    assert corpora["downstream"] == set(expand(["downstream"]))
    assert corpora["ood"] == set(forecast)
    steady = {task.corpus for task in select_tasks(["steady_shift", "ground_state_shift"], tasks)}
    assert steady == set(rungs) - set(forecast)
    assert {"pdebench_swe", "pdebench_dr", "fno_ns_1e-3"} <= corpora["rollout"]
    assert corpora["few_shot"] == {*expand(["downstream"]), "wave_layer"}
    for task in select_tasks(["few_shot"], tasks):
        assert (task.kind, task.few_shot[0], task.few_shot[-1]) == ("few_shot", 16, 2000)
    for task in select_tasks(["stability"], tasks):
        assert task.rollout_frames + task.free_frames > 400
        assert task.length <= load_card(task.corpus).frames
    for group in ("boxes", "latents", "reconstruction"):
        found = {task.corpus for task in select_tasks([group], tasks)}
        assert found == {"open_channel_3d", "porous_3d"}
    others = {"zero_shot", "steady", "steady_shift", "ground_state", "ground_state_shift"}
    others |= {
        "boxes",
        "latents",
        "reconstruction",
        "constrained",
        "the_well",
        "pdearena_conditioned",
    }
    others |= {"bands", "bands_shift", "grid"}
    assert set(corpora) | others == set(group_names(tasks.values()))


def test_long_rollouts_reach_the_end_of_the_trajectories() -> None:
    tasks = load_tasks()
    for corpus in ("pdebench_swe", "pdebench_dr", "fno_ns_1e-3", "pdearena_ns_cond"):
        assert tasks[f"long_{corpus}"].length == load_card(corpus).frames
    assert any(len(task.windows) > 1 for task in select_tasks(["rollout"], tasks))


def test_the_readme_explains_every_option() -> None:
    text = (BUILT_IN / "README.md").read_text()
    assert [name for name in Task.model_fields if name not in text] == ["higher_is_better"]


def test_after_learning_the_terms_are_those_of_a_forecast() -> None:
    few_shot = load_tasks()["few_shot_fno_ns_1e-4"]
    judged, plain = few_shot.as_forecast, load_tasks()["downstream_fno_ns_1e-4"]
    assert (judged.kind, judged.few_shot, judged.name) == ("forecast", (), few_shot.name)
    assert judged.length == plain.length
    assert judged.hash != few_shot.hash


ROUTES = """
name: mine
version: 2
kind: routing
description: a user's own
corpora: [pdebench_swe, downstream]
unseen: [wave_layer]
windows: 5
groups: [favourites]
"""


def test_routing_tasks_stand_beside_the_others_with_terms_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(ROUTES)
    (tmp_path / "short.yaml").write_text(EXTRA.format(name="short"))
    assert set(load_tasks(tmp_path)) - set(load_tasks()) == {"short"}
    mine = load_routing_tasks(tmp_path)["mine"]
    assert mine.terms.corpora == ("pdebench_swe", *expand(["downstream"]))
    assert mine.terms == RoutingTask(
        version=2, corpora=mine.terms.corpora, unseen=("wave_layer",), windows=5
    )
    assert mine.groups == ("favourites",)
    built_in = load_routing_tasks()["routing_mixture_6"]
    assert set(built_in.terms.corpora) == set(expand(["mixture_6"]))
    assert built_in.terms.unseen == ("wave_layer", "wave_gauss")
    assert built_in.groups == ("routing",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("window: 4", "did you mean 'windows'"),
        ("corpora: [pdebench_sw, cfdbench]", "corpora: unknown corpus 'pdebench_sw'; did you mean"),
        ("corpora: [cfdbench]", "at least 2 items"),
        ("unseen: [pdebench_swe]", "pdebench_swe named twice"),
        ("corpus: cfdbench", "corpus"),
        ("name: routing_mixture_6", "rename one of them"),
    ],
)
def test_faulty_routing_tasks_are_refused(line: str, message: str, tmp_path: Path) -> None:
    key = line.partition(":")[0]
    kept = [old for old in ROUTES.splitlines() if not old.startswith(f"{key}:")]
    (tmp_path / "mine.yaml").write_text("\n".join([*kept, line]))
    with pytest.raises(UserError, match=message) as refused:
        load_routing_tasks(tmp_path)
    assert "mine.yaml" in str(refused.value)
