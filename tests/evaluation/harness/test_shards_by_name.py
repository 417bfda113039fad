"""Shards that a verb is given by a name far away do what the folder of them does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import FileServer, serving
from huggingface_hub import constants
from local_hub import TOKEN, only_hub
from runs import write_checkpoint
from travelling_waves import CORPORA

from data_shards.remote.share import push_shards
from evaluation.simulation.page.explorer import Explorer
from foundation import Surrogate
from launchers.cli import main

TASK = "zero_shot_pdebench_cns_m0.1"


@pytest.fixture
def served(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    with serving(shards) as server:
        yield server


@pytest.fixture
def served_waves(
    waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    with serving(waves) as server:
        yield server


def judged(shards: str | Path, output: Path, *more: str) -> dict[str, Any]:
    """What `evaluate` finds of one floor, less what differs between two calls."""
    words = ["evaluate", "floor:persistence", "--shards", str(shards), "--tasks", TASK]
    assert main([*words, "--output", str(output), *more]) == 0
    (record,) = json.loads(output.read_text())["records"]
    return {key: record[key] for key in ("scores", "error_per_frame", "num_samples", "task_hash")}


def test_evaluate_judges_on_a_url_as_on_its_folder_and_fetches_its_task_only(
    served: FileServer, shards: Path, tmp_path: Path
) -> None:
    assert judged(served.url, tmp_path / "url.json") == judged(shards, tmp_path / "here.json")
    assert served.fetched() == ["pdebench_cns_m0.1-test-000000.tar"]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_evaluate_judges_on_a_data_set_of_the_hub_as_on_its_folder(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with only_hub(monkeypatch, tmp_path):
        push_shards(shards, "somebody/fields", deep=False, token=TOKEN)
        named = judged("hf://datasets/somebody/fields", tmp_path / "hub.json")
    assert named == judged(shards, tmp_path / "here.json")


def test_rescore_takes_the_truth_from_a_url(served: FileServer, tmp_path: Path) -> None:
    judged(served.url, tmp_path / "url.json", "--save-predictions")
    words = ["rescore", str(tmp_path / "url.json"), "--metrics", "spectral_low"]
    assert main([*words, "--shards", served.url, "--output", str(tmp_path / "again.json")]) == 0
    (record,) = json.loads((tmp_path / "again.json").read_text())["records"]
    assert "spectral_low" in record["scores"]


def test_routing_looks_at_a_url_as_at_its_folder(
    served_waves: FileServer, waves: Path, tmp_path: Path
) -> None:
    checkpoint = write_checkpoint(tmp_path / "model")
    found = []
    for number, shards in enumerate((served_waves.url, waves)):
        output = tmp_path / f"{number}.json"
        words = ["routing", str(checkpoint), "--corpora", ",".join(CORPORA), "--windows", "3"]
        assert main([*words, "--shards", str(shards), "--output", str(output)]) == 0
        (record,) = json.loads(output.read_text())["records"]
        found.append((record["findings"], record["shards"]))
    assert found[0] == found[1]
    assert not any("validation" in tar for tar in served_waves.fetched())


def test_the_page_fetches_the_split_that_is_picked_and_shows_what_the_folder_shows(
    served_waves: FileServer, waves: Path, tmp_path: Path
) -> None:
    checkpoint = str(write_checkpoint(tmp_path / "model", resolution=32))
    model = Surrogate.from_pretrained(checkpoint)
    far, near = (Explorer(model, checkpoint, shards) for shards in (served_waves.url, waves))
    assert far.page(1) == near.page(1)
    assert served_waves.fetched() == []
    picked = (CORPORA[0], "test", 1, 0, 2)
    assert far.sample(*picked) == near.sample(*picked)
    assert len(served_waves.fetched()) == 1


def test_a_card_takes_statistics_from_a_url_without_any_shard(
    served_waves: FileServer, tmp_path: Path
) -> None:
    about = {"corpora": [CORPORA[0]], "steps": 1, "samples": 1}
    checkpoint = write_checkpoint(tmp_path / "model")
    model = Surrogate.from_pretrained(checkpoint)
    Surrogate(model.network, model.config, about).save_pretrained(tmp_path / "told")
    assert main(["card", str(tmp_path / "told"), "--shards", served_waves.url]) == 0
    assert f"| `{CORPORA[0]}` |" in (tmp_path / "told" / "README.md").read_text()
    assert served_waves.fetched() == []


@pytest.mark.slow  # two trainings from the start of Python on
@pytest.mark.dist
def test_transfer_learns_and_judges_on_a_url(
    served_waves: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))  # of the trainings
    checkpoint = write_checkpoint(tmp_path / "model", "fno")
    words = ["transfer", str(checkpoint), "--corpus", "toy_wave", "--shards", served_waves.url]
    words += ["--sizes", "3", "--seeds", "1", "--steps", "2", "--output", str(tmp_path / "out")]
    assert main([*words, "global_batch=2", "log_every=1"]) == 0
    assert len(list((tmp_path / "out" / "records").iterdir())) == 2
    assert len(served_waves.fetched()) == len(set(served_waves.fetched()))
