"""Dense networks are trained by the trainer of the mixture: stops, ranks and all."""

from pathlib import Path

import pytest
import torch
from architectures import DENSE, SIZES
from group import on_ranks
from runs import curve, pretrain, rows
from safetensors.torch import load_file

from foundation import Surrogate

pytestmark = pytest.mark.dist


def setting(name: str) -> str:
    """The override that puts another architecture in the place of the preset's."""
    common = {"model_type": name, "resolution": 16, "instance_norm": "true", "target": "increment"}
    inner = ", ".join(f"{k}: {v}" for k, v in {**common, **SIZES[name]}.items())
    return f"model={{{inner}}}"


# What differs between them is held by the tests of one process; one goes through it all each time.
THROUGH_ALL = [n if n == "fno" else pytest.param(n, marks=pytest.mark.slow) for n in DENSE]


@pytest.fixture(scope="module", params=THROUGH_ALL)
def whole(request, waves: Path, tmp_path_factory) -> tuple[str, Path]:
    """Eight steps without a stop on one rank."""
    output = tmp_path_factory.mktemp("runs") / request.param
    assert on_ranks(1, pretrain, waves, output, 1, None, (setting(request.param),)) == [0]
    return request.param, output


def test_resume_is_exact_to_the_last_bit(waves, whole, tmp_path):
    name, uninterrupted = whole
    again = tmp_path / "again"
    assert on_ranks(1, pretrain, waves, again, 1, 4, (setting(name),)) == [0]
    assert len(rows(again)) == 4
    assert on_ranks(1, pretrain, waves, again, 1, None, (setting(name), "--resume")) == [0]
    assert curve(again) == curve(uninterrupted)
    assert curve(again, "validation") == curve(uninterrupted, "validation")
    ours, theirs = (load_file(r / "model" / "model.safetensors") for r in (again, uninterrupted))
    assert ours.keys() == theirs.keys()
    for path, tensor in ours.items():
        assert torch.equal(tensor, theirs[path]), path


@pytest.mark.slow
def test_two_ranks_follow_the_curve_of_one_and_one_goes_on_from_two(waves, whole, tmp_path):
    name, alone = whole
    output = tmp_path / "two"
    assert on_ranks(2, pretrain, waves, output, 1, 4, (setting(name),)) == [0, 0]
    assert on_ranks(1, pretrain, waves, output, 1, None, (setting(name), "--resume")) == [0]
    for ours, theirs in zip(curve(output), curve(alone), strict=True):
        assert ours["samples"] == theirs["samples"]
        # float32 sums in another order, through eight steps of Adam
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)


def test_it_is_exported_and_reports_nothing_of_routes(whole):
    name, output = whole
    model = Surrogate.from_pretrained(output / "model")
    assert model.config.model_type == name
    for row in rows(output):
        assert row["expert_load"] == []
        assert row["router_entropy"] is row["temperature"] is row["balance"] is None


def test_experts_that_are_not_there_are_not_spread(waves, tmp_path):
    extra = (setting("fno"),)
    assert on_ranks(2, pretrain, waves, tmp_path / "run", 2, None, extra) == [2, 2]
    assert not (tmp_path / "run").exists()
