"""A loss that leaps ends the run on all ranks, before anything of it is saved."""

import pytest
from group import on_ranks
from runs import pretrain, rows

from foundation.checkpoint.saved import tags_of

pytestmark = pytest.mark.dist

# Any rise above the lowest loss so far is a leap here, and small batches always rise some time.
EAGER = ("health.on_spike=stop", "health.spike=1.0001", "health.window=1", "checkpoint.every=1")


def test_a_leap_stops_all_ranks_and_is_not_saved(waves, tmp_path):
    output = tmp_path / "run"
    settings = (*EAGER, "checkpoint.keep=20")
    assert on_ranks(2, pretrain, waves, output, 2, None, settings) == [1, 1]
    (stop,) = rows(output, "stop")
    assert stop["diverged"]
    assert "times its lowest level" in stop["message"]
    losses = [row["loss"] for row in rows(output)]
    leapt = stop["step"] - 1
    assert losses == sorted(losses, reverse=True), "no loss is logged after the leap"
    assert tags_of(output / "checkpoints") == [f"step-{s:08d}" for s in range(1, leapt)]
