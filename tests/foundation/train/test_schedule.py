"""Learning rates against torch's schedulers, step by step."""

import pytest
import torch
from torch.optim import lr_scheduler

from data_shards.errors import UserError
from foundation.train.config import load_run_config
from foundation.train.schedule import Cosine, OneCycle, come_down

PEAK = 3e-4


def rates_of_torch(steps, scheduler) -> list[float]:
    """What a scheduler of torch gives an optimiser in every step."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    torchs, rates = scheduler(optimiser), []
    for step in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            torchs.step()
    return rates


def rates_of(schedule, steps: int) -> list[float]:
    return [schedule.at(step, steps, PEAK) for step in range(steps)]


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.2), (57, 0.2), (100, 0.5)])
def test_closed_form_equals_torch_one_cycle(steps, warmup):
    expected = rates_of_torch(
        steps,
        lambda optimiser: lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=PEAK,
            total_steps=steps,
            pct_start=warmup,
            div_factor=1e4,
            final_div_factor=1e4,
        ),
    )
    assert rates_of(OneCycle(warmup_fraction=warmup), steps) == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 10, 57])
@pytest.mark.parametrize("final", [0.0, 1e-5])
def test_closed_form_equals_torch_cosine_annealing(steps, final):
    expected = rates_of_torch(
        steps,
        lambda optimiser: lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps, eta_min=final),
    )
    found = rates_of(Cosine(final_lr=final), steps)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found[0] == PEAK
    assert found[-1] > final or steps == 1, "no step is spent on a rate of nothing"


@pytest.mark.parametrize(("steps", "warmup"), [(10, 1), (57, 20), (5, 4)])
def test_warm_up_equals_torch_linear_before_cosine(steps, warmup):
    def scheduler(optimiser):
        linear = lr_scheduler.LinearLR(optimiser, 1 / (warmup + 1), 1.0, warmup)
        cosine = lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps - warmup)
        return lr_scheduler.SequentialLR(optimiser, [linear, cosine], [warmup])

    expected = rates_of_torch(steps, scheduler)
    found = rates_of(Cosine(warmup_steps=warmup), steps)
    assert found == pytest.approx(expected, rel=1e-9)
    assert found.index(max(found)) == warmup


def test_rate_is_finite_in_runs_of_one_or_two_steps():
    for steps in (1, 2):
        for schedule in (OneCycle(), Cosine(), Cosine(warmup_steps=2)):
            assert all(0 < rate <= PEAK for rate in rates_of(schedule, steps))


@pytest.mark.parametrize(
    ("schedule", "step"),
    [
        (OneCycle(), 60),  # a cosine from step 19 to 99 has half its way behind it at 59
        (OneCycle(warmup_fraction=0.5), 75),
        (Cosine(), 50),
        (Cosine(warmup_steps=20), 60),
        (Cosine(final_lr=1.0), 100),  # never
    ],
)
def test_the_rate_has_come_down_where_half_of_the_highest_is_left(schedule, step):
    assert come_down(schedule, 100) == step


def test_a_kind_is_chosen_by_override_and_is_one_cycle_if_none_is_said():
    assert load_run_config("debug", []).schedule == OneCycle()
    of_before = load_run_config("debug", ["schedule.warmup_fraction=0.5"]).schedule
    assert of_before == OneCycle(warmup_fraction=0.5)
    run = load_run_config("debug", ["schedule.kind=cosine", "schedule.final_lr=1e-5"])
    assert run.schedule == Cosine(final_lr=1e-5)
    assert type(run).model_validate(run.model_dump(mode="json")) == run


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["schedule.kind=cosin"], "schedule: wanted a schedule of kind one_cycle or cosine"),
        (["schedule.kind=[1]"], "schedule: wanted a schedule of kind one_cycle or cosine"),
        (["schedule=3"], "schedule: wanted a schedule of kind"),
        (
            ["schedule.kind=cosine", "schedule.final=1"],
            r"did you mean 'final_lr'\? .*\(at schedule.final\)",
        ),
        (["schedule.final_lr=1"], r"known: div, .*\(at schedule.final_lr\)"),
        (["schedule.kind=cosine", "schedule.final_lr=-1"], "overrides: schedule.final_lr: Input"),
    ],
)
def test_a_wrong_schedule_is_told_in_one_line(overrides, message):
    with pytest.raises(UserError, match=message) as raised:
        load_run_config("debug", overrides)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.2), (57, 0.2), (100, 0.5)])
def test_the_first_beta_cycles_as_torchs_one_cycle_has_it(steps, warmup):
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=PEAK, betas=(0.9, 0.9))
    torchs = lr_scheduler.OneCycleLR(optimiser, PEAK, total_steps=steps, pct_start=warmup)
    expected = []
    for step in range(steps):
        expected.append(optimiser.param_groups[0]["betas"][0])
        optimiser.step()
        if step < steps - 1:
            torchs.step()
    cycled = OneCycle(warmup_fraction=warmup, momentum=(0.95, 0.85))
    found = [cycled.beta_at(step, steps, 0.9) for step in range(steps)]
    assert found == pytest.approx(expected, rel=1e-12)
    still = OneCycle(warmup_fraction=warmup)
    assert {still.beta_at(step, steps, 0.9) for step in range(steps)} == {0.9}
