"""The learning rate against torch's OneCycleLR."""

import pytest
import torch

from foundation.train.schedule import OneCycle


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.2), (57, 0.2), (100, 0.5)])
def test_closed_form_equals_torch_one_cycle(steps, warmup):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=3e-4,
        total_steps=steps,
        pct_start=warmup,
        div_factor=1e4,
        final_div_factor=1e4,
    )
    ours = OneCycle(warmup_fraction=warmup)
    for step in range(steps):
        assert ours.at(step, steps, 3e-4) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            torchs.step()


def test_rate_is_finite_in_runs_of_one_or_two_steps():
    for steps in (1, 2):
        for step in range(steps):
            assert 0 < OneCycle().at(step, steps, 1e-3) <= 1e-3
