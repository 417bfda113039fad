"""What a study's file may say, and which runs follow from it."""

from pathlib import Path

import pytest

from data_shards.errors import UserError
from evaluation.study.config import StudyConfig, read_study, runs_of

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


def test_a_model_may_have_overrides_of_its_own_and_then_a_folder_of_its_own_name() -> None:
    fast = {"preset": "nano", "overrides": ["optimiser.lr=0.02", "steps=7"]}
    runs = runs_of(
        study(models={"slow": "nano", "fast, 0.02": fast}, seeds=1, overrides=["steps=9"])
    )
    assert [run.name for run in runs] == ["nano-two-seed0", "fast-0.02-two-seed0"]
    assert [run.config.steps for run in runs] == [9, 7]
    assert [run.config.optimiser.lr for run in runs] == [0.006, 0.02]
    assert runs[0].identity != runs[1].identity


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": {"a": "nano", "b": "nano"}}, "two models have the same preset"),
        (
            {
                "models": {
                    n: {"preset": "nano", "overrides": [f"steps={n[2]}"]} for n in ("a 1", "a-1")
                }
            },
            "two models have the same preset",
        ),
        (
            {
                "models": {
                    n: {"preset": p, "overrides": ["steps=2"]}
                    for n, p in (("a 1", "nano"), ("a-1", "nano_fno"))
                }
            },
            "names of models make the same folder",
        ),
        (
            {"models": {"a": {"preset": "nano", "overrides": ["seed=4"]}}},
            "an override sets seed",
        ),
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


@pytest.mark.parametrize(
    "path", sorted(STUDIES.glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}-{p.stem}"
)
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
