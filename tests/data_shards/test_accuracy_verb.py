"""Laws of `foundation shards accuracy`: one record per trajectory, none lost, none unasked."""

import json
import sys
from types import ModuleType

import pytest
from pydantic import Field
from shards_console import console, refused_by_parser

from data_shards.catalogue import load_card
from data_shards.config import Config
from data_shards.errors import UserError
from launchers.verbs.shards import accuracy


class Measured(Config):
    corpus: str
    profile: str
    index: int
    seed: int
    seconds: float = 1.5
    error: dict[str, float] = Field(default={"u": 0.25, "v": 0.125})


@pytest.fixture
def measured(monkeypatch):
    """Stand-ins for the simulations; lists what was asked for."""
    asked = []

    def measure(card, profile, *, index, seed):
        asked.append((card.name, profile, index, seed))
        if index == 7:
            raise KeyboardInterrupt
        return Measured(corpus=card.name, profile=profile, index=index, seed=seed)

    module = ModuleType("data_shards.generate.accuracy")
    module.measure = measure
    module.REFINEMENTS = {"reaction_diffusion": None, "shallow_water": None}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def test_every_trajectory_of_every_profile_is_measured_and_written(tmp_path, measured, capsys):
    output = tmp_path / "a.json"
    order = ("accuracy", "pdebench_dr", "pdebench_swe", "--trajectories", 2, "--seed", 3)
    console(*order, "--profile", "small", "published", "--output", output)
    assert measured == [
        (name, profile, index, 3)
        for name in ("pdebench_dr", "pdebench_swe")
        for profile in ("small", "published")
        for index in (0, 1)
    ]
    records = json.loads(output.read_text())["records"]
    assert [(r["corpus"], r["profile"], r["index"], r["seed"]) for r in records] == measured
    assert "pdebench_dr small 1: 1.50 s, error 2.50e-01" in capsys.readouterr().out


def test_a_stop_loses_no_finished_trajectory(tmp_path, measured):
    output = tmp_path / "a.json"
    with pytest.raises(KeyboardInterrupt):
        console("accuracy", "pdebench_dr", "--trajectories", 9, "--output", output)
    assert len(json.loads(output.read_text())["records"]) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_group_leaves_out_what_cannot_be_judged_and_a_name_is_refused(tmp_path, measured, capsys):
    console("accuracy", "mixture_6", "--output", tmp_path / "a.json")
    assert [order[0] for order in measured] == ["pdebench_dr", "pdebench_swe"]
    assert "left out: cfdbench" in capsys.readouterr().err
    with pytest.raises(UserError, match="cfdbench: its generator 'incompressible' has no refined"):
        console("accuracy", "cfdbench", "--output", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_an_existing_output_is_only_overwritten_when_told_to(tmp_path, measured):
    output = tmp_path / "a.json"
    output.write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        console("accuracy", "pdebench_dr", "--output", output)
    assert output.read_text() == "mine"
    console("accuracy", "pdebench_dr", "--output", output, "--overwrite")
    assert len(json.loads(output.read_text())["records"]) == 1


@pytest.mark.parametrize(
    "extra", [("--profile", "large"), ("--trajectories", "0"), ("--seed", "-1")]
)
def test_what_cannot_be_is_refused_by_the_parser(tmp_path, capsys, extra):
    order = ("accuracy", "pdebench_dr", "--output", tmp_path / "a.json")
    assert extra[0] in refused_by_parser(capsys, *order, *extra)


def test_a_real_measurement_gives_a_record_that_the_page_can_show(tmp_path, capsys):
    card = load_card("wave_gauss")
    order = ("accuracy", card.name, "--profile", "small", "--output", tmp_path / "a.json")
    console(*order)
    (record,) = json.loads((tmp_path / "a.json").read_text())["records"]
    assert record["generator"] == card.generator
    assert 0 < max(record["error"].values()) < 0.2  # of the order of what its card states
    assert record["seconds"] > 0


def test_what_is_kept_with_the_project_is_readable(monkeypatch, tmp_path):
    monkeypatch.setattr(accuracy, "files", lambda package: tmp_path)
    assert accuracy.recorded() == []
    path = tmp_path / "studies" / "generators" / "accuracy.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"records": [{"corpus": "a"}]}')
    assert accuracy.recorded() == [{"corpus": "a"}]
    path.write_text('[{"corpus": "b"}]')
    assert accuracy.recorded() == [{"corpus": "b"}]
