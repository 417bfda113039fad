"""What a study's file may say, and which runs follow from it."""

from pathlib import Path

import pytest
import yaml

from data_shards.errors import UserError
from evaluation.study.config import StudyConfig, read_study, runs_of
from evaluation.study.folders import finished_model, training_folder

STUDIES = Path(__file__).parents[3] / "evaluation" / "studies"


def study(**changed: object) -> StudyConfig:
    values = {
        "title": "toy",
        "models": {"sparse": "nano", "dense": "nano_dpot"},
        "mixtures": {"two": ["data.corpora=[pdebench_swe, pdebench_dr]", "data.weights=balanced"]},
        "seeds": 2,
        **changed,
    }
    return StudyConfig.read(values, "study toy")


def test_runs_are_models_times_mixtures_times_seeds_whole_rounds_first() -> None:
    runs = runs_of(study(mixtures={"six": [], "short": ["steps=10"]}))
    assert len(runs) == len({run.name for run in runs}) == 2 * 2 * 2
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert runs[2].name == "nano-short-seed0"
    assert (runs[2].config.steps, runs[0].config.steps) == (10, 1250)
    assert {run.config.seed for run in runs if run.seed == 1} == {1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": {"a": "nano", "b": "nano"}}, "two models have the same preset"),
        ({"mixtures": {"a/b": []}}, "mixture 'a/b': becomes part of a folder's name"),
        ({"overrides": ["seed=4"]}, "an override sets seed"),
        ({"mixtures": {"a": ["seed=4"]}}, "an override sets seed"),
        ({"models": {}}, "models"),
        ({"sneeds": 3}, "sneeds"),
    ],
)
def test_a_study_that_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        study(**changed)


def test_an_unknown_preset_or_key_is_refused_before_any_training() -> None:
    with pytest.raises(UserError, match="unknown preset 'nanno'"):
        runs_of(study(models={"a": "nanno"}))
    with pytest.raises(UserError, match="stepps"):
        runs_of(study(overrides=["stepps=3"]))


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*/study.yaml")), ids=lambda p: p.parent.name)
def test_every_shipped_study_can_be_run(path: Path) -> None:
    config = read_study(path)
    runs = runs_of(config)
    assert len(runs) == len(config.models) * len(config.mixtures) * config.seeds


def test_mixtures_of_the_shipped_study_draw_the_six_equally_often() -> None:
    """The weights' share of a corpus times the steps is the same in all mixtures."""
    draws: dict[str, set[float]] = {}
    for run in runs_of(read_study(STUDIES / "mixtures" / "study.yaml")):
        weights = run.config.data.weights
        assert isinstance(weights, dict)
        for name, weight in weights.items():
            share = weight / sum(weights.values()) * run.config.steps
            draws.setdefault(name, set()).add(round(share))
    assert len(draws["fno_ns_1e-5"]) == len(draws["pdebench_swe"]) == 1
    assert len(draws) == 12


def test_a_finished_run_is_known_by_its_settings_and_shards(tmp_path: Path) -> None:
    run, other = runs_of(study(seeds=1, models={"sparse": "nano"})), runs_of(study(seeds=1))
    shards = dict.fromkeys(run[0].config.data.corpora, "a" * 64)
    assert finished_model(tmp_path, run[0], shards) is None
    folder = training_folder(tmp_path, run[0])
    folder.mkdir(parents=True)
    values = {"run": run[0].config.model_dump(mode="json"), "shards_sha256": shards}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    assert finished_model(tmp_path, run[0], shards) is None  # begun, not finished
    (folder / "model").mkdir()
    (folder / "model" / "config.json").touch()
    assert finished_model(tmp_path, run[0], shards) == folder / "model"
    assert finished_model(tmp_path, other[1], shards) is None  # another model's folder
    seldom = runs_of(study(seeds=1, overrides=["log_every=1", "checkpoint.every=7"]))[0]
    assert finished_model(tmp_path, seldom, shards) == folder / "model"
    longer = runs_of(study(seeds=1, overrides=["steps=9"]))[0]
    with pytest.raises(UserError, match=r"holds another run: steps was 1250, now 9"):
        finished_model(tmp_path, longer, shards)
    with pytest.raises(UserError, match=r"holds another run: shards.pdebench_dr was"):
        finished_model(tmp_path, run[0], {**shards, "pdebench_dr": "b" * 64})
