"""What `plan` says is what a run then does: bytes that ranks send, memory that tensors take."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from group import on_ranks
from passes import PassedBytes
from runs import watched
from traffic import SentBytes

from foundation.models.registry import build_model
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import StepConfig
from foundation.plan import cost as costs
from foundation.plan.cost import Cost, cost_of
from foundation.train.config import load_run_config
from launchers.benchmarks.samples import random_batch
from launchers.benchmarks.tensor_bytes import TensorBytes

pytestmark = pytest.mark.dist

ROOT = Path(__file__).parents[2]
TENTH = 0.1  # what a plan promises


class Case(NamedTuple):
    world: int
    ep: int
    zero: int
    bf16: bool = False
    accumulation: int = 1
    recompute: bool = False
    settings: tuple[str, ...] = ("model.resolution=32",)

    @property
    def overrides(self) -> list[str]:
        return [
            f"accumulation={self.accumulation}",
            f"recompute={str(self.recompute).lower()}",
            *self.settings,
        ]

    def planned(self) -> Cost:
        run = load_run_config("debug", self.overrides)
        micro = run.step_on(self.world).micro_batch
        return cost_of(run.model, *self[:4], micro, self.accumulation, self.recompute)


def of_case(case: Case, deepspeed_config: Path) -> tuple[str, ...]:
    return "--deepspeed_config", str(deepspeed_config), "steps=2", *case.overrides


def deepspeed_config(folder: Path, case: Case, bucket: int = costs.REDUCE_BUCKET) -> Path:
    values = json.loads((ROOT / "ds_configs" / "zero1_fp32.json").read_text())
    values["zero_optimization"] |= {"stage": case.zero, "reduce_bucket_size": bucket}
    values["bf16"] = {"enabled": case.bf16}
    path = folder / "deepspeed.json"
    path.write_text(json.dumps(values))
    return path


TRAFFIC = [Case(2, 2, 1), Case(2, 1, 0)]
LONGER = [Case(4, 2, 2, accumulation=2, recompute=True), Case(2, 2, 1, bf16=True)]


@pytest.mark.parametrize(
    "case", [*TRAFFIC, *(pytest.param(case, marks=pytest.mark.slow) for case in LONGER)]
)
def test_bytes_sent_are_those_of_a_run_by_group(case, waves, tmp_path):
    config = deepspeed_config(tmp_path, case)
    ranks = on_ranks(
        case.world, watched, SentBytes, waves, tmp_path / "run", case.ep, of_case(case, config)
    )
    plan = case.planned().traffic
    steps = [step for rank in ranks for step in rank]
    mean: Counter[Any] = Counter()
    for step in steps:
        mean.update({key: size / len(steps) for key, size in step.items()})
    ways = {kind: sum(s for (k, _), s in mean.items() if k == kind) for kind, _ in mean}
    # Routes of a fresh router, which has preferences; and the head that no loss reaches.
    assert ways.get("alltoall_base", 0.0) == pytest.approx(plan.exchange, rel=TENTH)
    assert ways["allreduce"] == pytest.approx(plan.gradients + plan.expert_gradients, rel=TENTH)
    # Parts are padded to whole numbers of bytes that NCCL likes.
    assert ways.get("_allgather_base", 0.0) == pytest.approx(plan.weights, rel=0.01)
    assert sum(mean.values()) == pytest.approx(plan.total, rel=TENTH)
    if case.world > case.ep > 1:
        assert mean["allreduce", case.world // case.ep] == pytest.approx(
            plan.expert_gradients, rel=0.01
        )


BIG = ("model.resolution=64", "model.patch=4", "model.width=64", "model.head_width=16")
WIDE = ("model.resolution=16", "model.width=256", "model.router.num_experts=8")
SMALL_BUCKET = 100_000  # of a network of a test's size, which the usual one would dwarf
MEMORY = {
    "many activations": Case(2, 2, 1, settings=(*BIG, "global_batch=16")),
    "recomputed": Case(2, 2, 1, recompute=True, settings=(*BIG, "global_batch=16")),
    "many weights": Case(2, 2, 1, settings=(*WIDE, "global_batch=2")),
    "bf16": Case(2, 2, 1, bf16=True, settings=(*WIDE, "global_batch=2")),
    "gradients in parts": Case(2, 1, 2, settings=(*WIDE, "global_batch=2")),
    "nothing in parts": Case(2, 1, 0, settings=(*BIG, "global_batch=16")),
}


QUICK = ("many activations", "many weights")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MEMORY]
)
def test_memory_is_that_of_a_runs_tensors(name, waves, tmp_path, monkeypatch):
    case = MEMORY[name]
    config = deepspeed_config(tmp_path, case, SMALL_BUCKET)
    monkeypatch.setattr(costs, "REDUCE_BUCKET", SMALL_BUCKET)
    plan = case.planned()
    ranks = on_ranks(
        case.world, watched, TensorBytes, waves, tmp_path / "run", case.ep, of_case(case, config)
    )
    # Of the second step: Adam's moments come with the first. What was there before is state.
    state = plan.weight_bytes + plan.optimiser_bytes
    # On average: a fresh router sends more samples to one rank than to the other.
    peak = state + sum(rank[1] for rank in ranks) / case.world
    assert peak == pytest.approx(plan.peak_bytes, rel=TENTH)


def passed_over(bf16: bool) -> tuple[int, int]:
    """Bytes that one step takes beyond a plain backward pass, and what the plan says."""
    join_ranks()
    config = load_run_config("debug", [*WIDE]).model
    batch = random_batch(config, 1)
    counts = []
    for engine in (False, True):
        model: Any = build_model(config, seed=0)
        if engine:
            values = {"zero_optimization": {"stage": 1}, "bf16": {"enabled": bf16}}
            step = StepConfig(micro_batch=1)
            model = build_engine(model, resolve_deepspeed_config(values, step), 1)
        elif bf16:
            model = model.bfloat16()
        for _ in range(2):  # Adam's moments come with the first
            loss = model(batch).fields.square().sum()
            with PassedBytes() as passed:
                if engine:
                    model.backward(loss)
                    model.step()
                else:
                    loss.backward()
                    model.zero_grad()
        counts.append(passed.seen)
    leave_ranks()
    return counts[1] - counts[0], cost_of(config, 1, 1, 1, bf16, 1).passed_bytes


@pytest.mark.parametrize("bf16", [False, True])
def test_memory_passed_over_is_that_of_the_engine(bf16):
    ((counted, planned),) = on_ranks(1, passed_over, bf16)
    assert counted == pytest.approx(planned, rel=TENTH)
