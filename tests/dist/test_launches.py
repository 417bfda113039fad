"""How many operations a GPU is asked for in a training step: it starts each in microseconds.

Counted on a CPU that takes a GPU's ways. The number does not depend on widths and samples; of the
paper's three sizes only the number of blocks differs, which it is linear in.
"""

from collections import Counter
from pathlib import Path

import pytest
import torch
from group import on_ranks
from launches import Launches, Reads, as_on_a_gpu
from runs import watched

from foundation.models.registry import build_model
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import StepConfig
from foundation.train.losses import losses_of
from foundation.train.noise import with_noise
from foundation.train.objectives import LossConfig
from foundation.train.statistics import ExpertUsage, StepTotals
from launchers.benchmarks.network import config_of
from launchers.benchmarks.samples import random_batch

pytestmark = pytest.mark.dist

SAMPLES = 2
SIZES = {"width": 32, "heads": 4, "resolution": 16}  # 16 experts and all else as in tiny


def launched(blocks: int) -> dict[str, tuple[int, int]]:
    """Operations, and numbers read by the host, of every part of a training step."""
    ranks = join_ranks()
    config = config_of("tiny_plus", **SIZES, blocks=blocks)
    template = {"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}
    resolved = resolve_deepspeed_config(template, StepConfig(micro_batch=SAMPLES))
    engine = build_engine(build_model(config, seed=0), resolved, 1)
    batch, usage = random_batch(config, SAMPLES), ExpertUsage(1, ranks.device)
    parts: dict[str, tuple[int, int]] = {}
    for _ in range(2):  # the first step makes the optimiser's state
        with as_on_a_gpu(), Launches() as forward:
            noisy = with_noise(batch, 1e-3, 0, 0)
            prediction = engine(noisy)
            losses = losses_of(prediction, batch, LossConfig(), sum_over_ranks)
        with Launches() as backward:
            engine.backward(losses.total)
        with Launches() as step:
            engine.step()
        with Launches() as counting:
            usage.add(prediction.routing, batch.corpus_id)
            StepTotals(1).add(losses, batch, False, sum_over_ranks)
        named = {"forward": forward, "backward": backward, "step": step, "counting": counting}
        parts = {name: (part.total, part.read) for name, part in named.items()}
    leave_ranks()
    return parts


@pytest.fixture(scope="module")
def counted() -> list[dict[str, tuple[int, int]]]:
    """With one, two and three blocks."""
    return [on_ranks(1, launched, blocks)[0] for blocks in (1, 2, 3)]


def test_they_grow_by_the_same_number_with_every_block(counted):
    one, two, three = (sum(part[0] for part in parts.values()) for parts in counted)
    assert three - two == two - one


@pytest.mark.parametrize(("blocks", "most"), [(4, 1200), (6, 1650), (8, 2100)])
def test_a_step_of_the_papers_sizes_has_few(blocks, most, counted):
    one, two, _ = (sum(part[0] for part in parts.values()) for parts in counted)
    assert one + (blocks - 1) * (two - one) <= most


def test_the_host_waits_once_a_step_for_the_norm(counted):
    assert {name: read for name, (_, read) in counted[0].items() if read} == {"step": 1}


def reads_of_steps(waves: Path, output: Path) -> list[Counter[str]]:
    extra = ("steps=3", "validation.every=3", "checkpoint.every=3", "accumulation=2")
    with as_on_a_gpu():
        config = ("--deepspeed_config", "ds_configs/zero1_bf16.json")
        return watched(Reads, waves, output, 1, (*extra, *config))


def test_a_step_of_the_trainer_reads_the_norm_and_behind_it_its_totals(waves, tmp_path):
    """Whatever the number of forwards; the totals have arrived when the norm has."""
    (steps,) = on_ranks(1, reads_of_steps, waves, tmp_path / "run")
    assert steps == [Counter(_local_scalar_dense=1, tolist=1)] * 3


def broken_gradient(bf16: bool) -> tuple[bool, int, float]:
    """Whether a step with one gradient that is not finite left all weights as they were."""
    join_ranks()
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    template = {"zero_optimization": {"stage": 1}, "bf16": {"enabled": bf16}}
    engine = build_engine(model, resolve_deepspeed_config(template, StepConfig(micro_batch=2)), 1)
    given = torch.ones(2, 3, dtype=torch.bfloat16 if bf16 else torch.float32)
    before = [p.detach().clone() for p in engine.module.parameters()]
    out = engine(given)
    out.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([1]), torch.inf))
    engine.backward(out.sum())
    engine.step()
    same = all(map(torch.equal, before, engine.module.parameters()))
    engine.backward(engine(given).sum())
    engine.step()
    moved = not all(map(torch.equal, before, engine.module.parameters()))
    leave_ranks()
    return same and moved, engine.skipped_steps, float(engine.get_global_grad_norm())


@pytest.mark.parametrize("bf16", [False, True])
def test_a_gradient_that_is_not_finite_moves_no_weight(bf16):
    ((kept, skipped, norm),) = on_ranks(1, broken_gradient, bf16)
    assert kept
    assert skipped == 1
    assert norm > 0
