"""A model without routers, or with routers of another kind, is refused in plain words."""

from pathlib import Path

import pytest
import torch
from handmade_routes import MIXTURE

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from evaluation.routing.collect import check_routed, temperature_of
from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config
from foundation.models.types import Prediction
from foundation.moe.router import Routing
from launchers.cli import main


class _Network(torch.nn.Module):
    """Routes whatever it is told to."""

    def __init__(self, *shapes: tuple[int, int]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shapes = shapes

    def forward(self, batch: Batch) -> Prediction:
        routing = tuple(
            Routing(torch.zeros(shape), torch.zeros(shape[0], 1), torch.ones(shape[0], 1))
            for shape in self.shapes
        )
        return Prediction(batch.given, routing, torch.zeros(len(batch), 0))


def _surrogate(network: torch.nn.Module) -> Surrogate:
    return Surrogate(network, read_model_config(MIXTURE, "test"), {}).eval()


def test_a_dense_model_has_nothing_to_look_at() -> None:
    with pytest.raises(UserError, match="model m: moe_pot has no routers"):
        check_routed(_surrogate(_Network()), "model m")


@pytest.mark.parametrize("shapes", [[(2, 4), (2, 8)], [(32, 4), (32, 4)]])
def test_other_than_one_distribution_per_sample_and_block_is_refused(
    shapes: list[tuple[int, int]],
) -> None:
    with pytest.raises(UserError, match="one distribution per sample"):
        check_routed(_surrogate(_Network(*shapes)), "m")


def test_the_mixture_is_taken_and_left_as_it_was() -> None:
    model = _surrogate(build_model(read_model_config(MIXTURE, "test"), seed=0))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check_routed(model, "m")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_number_is_the_temperature_and_so_is_that_of_the_model() -> None:
    model = _surrogate(build_model(read_model_config(MIXTURE, "test"), seed=0))
    assert temperature_of(model, 0.7) == 0.7
    assert temperature_of(model, "evaluation") == 2.0
    assert temperature_of(_surrogate(_Network()), "evaluation") == 1.0


def test_a_dense_checkpoint_is_refused_before_any_window_is_read(
    waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes = {name: value for name, value in MIXTURE.items() if name != "router"}
    config = read_model_config({"model_type": "dpot", **shapes}, "test")
    folder = tmp_path / "dense"
    Surrogate(build_model(config, seed=0), config, {}).save_pretrained(folder)
    output = ["--output", str(tmp_path / "run.json")]
    assert main(["routing", str(folder), "--shards", str(waves), *output]) == 2
    printed = capsys.readouterr().err
    assert "dense: dpot has no routers" in printed
    assert len(printed.splitlines()) == 1


def test_a_floor_is_no_checkpoint(
    waves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "run.json")]
    assert main(["routing", "floor:persistence", "--shards", str(waves), *output]) == 2
    assert "floor:persistence: no such checkpoint" in capsys.readouterr().err
