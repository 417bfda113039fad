"""A pre-training that is told so leaves its routers as they start, and learns all else."""

from pathlib import Path

import pytest
import torch
from group import on_ranks
from runs import pretrain

from foundation import Surrogate
from foundation.models.registry import build_model
from foundation.train.freeze import router_parts

pytestmark = pytest.mark.dist


def moved(waves: Path, output: Path, *told: str) -> tuple[set[str], set[str]]:
    """Tensors of routers, and others, that three steps moved."""
    assert on_ranks(1, pretrain, waves, output, 1, None, (*told, "steps=3")) == [0]
    network = Surrogate.from_pretrained(output / "model").network
    before, after = build_model(network.config, seed=0).state_dict(), network.state_dict()
    names = {name for name in after if not torch.equal(before[name], after[name])}
    parts = tuple(f"{path}." for path, _ in router_parts(network))
    of_routers = {name for name in names if name.startswith(parts)}
    return of_routers, names - of_routers


def test_routers_stay_as_they_start(waves, tmp_path):
    free = moved(waves, tmp_path / "free", "loss.balance_weight=0")
    frozen = moved(waves, tmp_path / "frozen", "loss.balance_weight=0", "frozen_routers=true")
    assert free[0]
    assert not frozen[0]
    assert frozen[1] == free[1]
