"""`foundation study` as it is typed."""

import json
from pathlib import Path

import pytest
import yaml
from file_server import serving
from huggingface_hub import constants
from runs import rows

from data_shards.shards.corpus import ShardedCorpus
from evaluation.experiments.run import training_folder
from evaluation.study.config import StudyConfig, runs_of
from foundation import Surrogate
from foundation.models.registry import build_model
from launchers.cli import main

CORPORA = ("fno_ns_1e-5", "pdebench_cns_m0.1")
STUDY = {
    "title": "toy",
    "models": {"sparse": "debug"},
    "mixtures": {"two": []},
    "seeds": 2,
    "overrides": [
        f"data.corpora=[{','.join(CORPORA)}]",
        "data.split=test",
        "data.weights=balanced",
        "model.resolution=16",
        "steps=3",
        "log_every=1",
    ],
    "tasks": [f"zero_shot_{name}" for name in CORPORA],
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def finish(output: Path, shards: Path) -> None:
    """Training folders as they are left, with initial weights."""
    for run in runs_of(StudyConfig.read(STUDY, "toy")):
        folder = training_folder(output, run)
        network = build_model(run.config.model, run.seed)
        about = {"steps": 3, "samples": 60, "seed": run.seed}
        Surrogate(network, run.config.model, about).save_pretrained(folder / "model")
        prints = {name: ShardedCorpus.open(shards, name, "test").fingerprint for name in CORPORA}
        values = {"run": run.config.model_dump(mode="json"), "shards_sha256": prints}
        (folder / "config.yaml").write_text(yaml.safe_dump(values))


def words(study: Path, shards: Path | str, output: Path) -> list[str]:
    return ["study", str(study), "--shards", str(shards), "--output", str(output)]


def test_finished_runs_are_judged_beside_floors_and_never_trained_again(
    study, shards, tmp_path, capsys
):
    output = tmp_path / "out"
    finish(output, shards)
    first = training_folder(output, runs_of(StudyConfig.read(STUDY, "toy"))[0]) / "model"
    assert main([*words(study, shards, output), "--beside", str(first)]) == 0
    said = capsys.readouterr()
    assert "judged as they are" in said.out
    assert "kept: 2 of 2 trainings" in said.err
    assert "| sparse |" in said.out
    found = json.loads((output / "records" / "study.json").read_text())
    assert [point["seed"] for point in found["points"]] == [0, 1]
    results = json.loads((output / "records" / "study-runs.json").read_text())
    errors = {
        record["model"]["name"]: record["scores"]["l2re"]["value"]
        for record in results["records"]
        if record["task"]["corpus"] == CORPORA[0]
    }
    runs = {"sparse, seed 0", "sparse, seed 1"}
    assert set(errors) == {"persistence", "context_mean", "model", *runs}
    assert errors["model"] == errors["sparse, seed 0"]
    assert found["points"][1]["errors"][f"zero_shot_{CORPORA[0]}"] == errors["sparse, seed 1"]
    assert (output / "study.svg").read_text().startswith("<svg")
    assert main([*words(study, shards, output), "--finished-only", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_what_is_not_finished_is_not_judged(study, shards, tmp_path, capsys):
    assert main([*words(study, shards, tmp_path / "out"), "--finished-only"]) == 2
    assert "no finished run to summarise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tasks": ["zero_shot_pdebench_swe"]}, "pdebench_swe"),
        ({"tasks": ["nothing"]}, "nothing"),
        ({"overrides": ["data.corpora=[wave_layer]"]}, "wave_layer"),
    ],
)
def test_what_is_missing_is_told_before_any_training(
    study, shards, tmp_path, capsys, changed, message
):
    study.write_text(yaml.safe_dump({**STUDY, **changed}))
    assert main(words(study, shards, tmp_path / "out")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_stands_beside_is_opened_before_any_training(study, shards, tmp_path, capsys):
    assert main([*words(study, shards, tmp_path / "out"), "--beside", "not_anywhere:model"]) == 2
    assert "no module not_anywhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.dist
@pytest.mark.slow  # two trainings from the start of Python on
def test_a_study_trains_its_runs_side_by_side(study, shards, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    output = tmp_path / "out"
    assert main([*words(study, shards, output), "--jobs", "2"]) == 0
    for seed in (0, 1):
        folder = output / "runs" / f"debug-two-seed{seed}"
        assert [row["step"] for row in rows(folder)] == [1, 2, 3]
    found = json.loads((output / "records" / "study.json").read_text())
    assert len({json.dumps(point["errors"]) for point in found["points"]}) == 2


def test_a_study_takes_its_shards_from_a_url(study, shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    output = tmp_path / "out"
    finish(output, shards)
    with serving(shards) as served:
        assert main([*words(study, served.url, output), "--json"]) == 0
        assert len(served.fetched()) == len(CORPORA)
    assert len(json.loads(capsys.readouterr().out)["points"]) == 2
