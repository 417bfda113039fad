"""The work of a forecast frame on record is that of one forward pass."""

from pathlib import Path

import pytest
import torch
from handmade_routes import MIXTURE

from evaluation.harness.forecaster import open_forecaster
from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config
from foundation.plan.cost import cost_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("out_frames", [1, 2])
def test_frames_of_one_pass_share_its_work(out_frames: int, tmp_path: Path) -> None:
    config = read_model_config(MIXTURE | {"out_frames": out_frames}, "test")
    Surrogate(build_model(config, seed=0), config, {}).save_pretrained(tmp_path)
    facts = open_forecaster(str(tmp_path), CPU).facts
    cost = cost_of(config, world=1, ep_size=1, zero_stage=0, bf16=False, micro_batch=1)
    assert facts.flops_per_frame is not None
    assert facts.flops_per_frame * out_frames == pytest.approx(cost.flops_forward, abs=out_frames)


def test_floors_have_no_work_to_count() -> None:
    assert open_forecaster("floor:persistence", CPU).facts.flops_per_frame is None
