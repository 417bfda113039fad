"""Parallel equals serial: losses, gradients and steps under every layout of ranks."""

import re
from typing import Any, NamedTuple

import pytest
import torch
from group import on_ranks

from data_shards.stream.batch import Batch
from foundation.models.registry import build_model, read_model_config
from foundation.moe.experts import ExpertBank, Experts
from foundation.moe.router import Routing
from foundation.nn.stacked import Stacked
from foundation.parallel import collectives, expert_parallel
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.gather import gather_weights
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import StepConfig
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

pytestmark = pytest.mark.dist

GLOBAL_BATCH, STEPS, RESOLUTION = 8, 3, 16
# float32: ranks sum the same numbers in another order
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


_POT = {"resolution": RESOLUTION, "width": 32, "blocks": 2, "heads": 4, "patch": 4, "head_width": 8}
_FNO = {"resolution": RESOLUTION, "width": 8, "layers": 2, "modes": 4, "routed_modes": 3}
NETWORKS: dict[str, Any] = {
    "moe_pot": {"model_type": "moe_pot", **_POT},
    "moe_fno": {"model_type": "moe_fno", "projection": 16, **_FNO},
    "by_context": {
        "model_type": "moe_fno",
        "projection": 16,
        **_FNO,
        "patch": 2,
        "skip": True,
        "routed_ends": True,
    },
}


class Case(NamedTuple):
    world: int
    ep_size: int
    zero: int = 1
    gate: str = "layer"
    accumulation: int = 1
    recompute: bool = False
    bf16: bool = False
    unit: str = "sample"
    offload: bool = False
    compile: bool = False
    objective: str = "relative_l2"
    network: str = "moe_pot"
    by: str = "gate"
    sees: str = "features"


def global_batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    fields = torch.randn(GLOBAL_BATCH, 11, 4, RESOLUTION, RESOLUTION, generator=generator)
    asked_mask = torch.ones(GLOBAL_BATCH, 4)
    asked_mask[::2, 1:] = 0
    valid = (torch.rand(GLOBAL_BATCH, 1, RESOLUTION, RESOLUTION, generator=generator) > 0.2).float()
    ids = torch.arange(GLOBAL_BATCH)
    return Batch(fields[:, :10], fields[:, 10:], asked_mask, valid, ids, ("",) * GLOBAL_BATCH)


def part(batch: Batch, start: int, count: int) -> Batch:
    rows = slice(start, start + count)
    tensors = (batch.given, batch.asked, batch.asked_mask, batch.valid_mask, batch.corpus_id)
    return Batch(*(t[rows] for t in tensors), batch.keys[rows])


def gradients(engine: Any, ep_size: int) -> dict[str, torch.Tensor]:
    """Reduced gradients of the parameters this rank holds, by their names in state dicts."""
    from deepspeed.utils import safe_get_full_grad

    found = {}
    stacks = {path: m for path, m in engine.module.named_modules() if isinstance(m, Stacked)}
    for name, parameter in engine.module.named_parameters():
        if not parameter.requires_grad:
            continue
        full = safe_get_full_grad(parameter) if engine.zero_optimization() else parameter.grad
        path, _, last = name.rpartition(".")
        if path not in stacks:
            found[name] = full.clone()
            continue
        listed = re.sub(r"\.deepspeed_moe\.experts\.deepspeed_experts\.\d+-\d+", ".experts", path)
        for number, own in enumerate(full, stacks[path].first):
            found[f"{listed}.{number}.{last}"] = own.clone()
    return found


def train(case: Case) -> dict[str, Any]:
    """A few optimiser steps on one rank of a layout."""
    ranks = join_ranks()
    router = {"gate_norm": case.gate, "unit": case.unit, "by": case.by, "sees": case.sees}
    if case.by != "gate":
        router["top_k"] = 1
    config = read_model_config({**NETWORKS[case.network], "router": router}, "test")
    model = build_model(config, seed=0)
    model.recompute_blocks = case.recompute
    if case.compile:
        model.compile()
    micro = GLOBAL_BATCH // case.accumulation // case.world
    template: dict[str, Any] = {
        "zero_optimization": {"stage": case.zero, "reduce_bucket_size": 10**6},
        "bf16": {"enabled": case.bf16},
    }
    if case.offload:
        template["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
        template["zero_force_ds_cpu_optimizer"] = False
    step = StepConfig(micro_batch=micro, accumulation=case.accumulation)
    engine = build_engine(model, resolve_deepspeed_config(template, step), case.ep_size)
    minimised = LossConfig(objective=case.objective)
    batch, losses, norms, grads = global_batch(), [], [], {}
    for number in range(STEPS):
        for forward in range(case.accumulation):
            start = forward * micro * case.world + ranks.rank * micro
            own = part(batch, start, micro)
            loss = losses_of(engine(own), own, minimised, sum_over_ranks).total
            engine.backward(loss)
            last = forward == case.accumulation - 1
            if last and number == 0 and not case.bf16:
                grads = gradients(engine, case.ep_size)
            engine.step()
            losses.append(float(sum_over_ranks(loss.detach()) / case.world))
        norms.append(engine.get_global_grad_norm())
    weights = gather_weights(engine)
    leave_ranks()
    buffers = dict(engine.module.named_buffers())
    return {
        "losses": losses,
        "norms": [None if n is None else float(n) for n in norms],
        "grads": grads,
        "weights": weights,
        "buffers": {n: b.clone() for n, b in buffers.items()},
    }


@pytest.fixture(scope="module")
def serial() -> Any:
    """Runs on one rank, by the settings that change the function."""
    known: dict[Any, Any] = {}

    def run(case: Case) -> dict[str, Any]:
        kept = ("gate", "accumulation", "unit", "objective", "network", "by", "sees")
        alone = Case(1, 1, **{name: getattr(case, name) for name in kept})
        if alone not in known:
            known[alone] = on_ranks(1, train, alone)[0]
        return known[alone]

    return run


CASES = [
    Case(2, 1),
    Case(2, 2),
    Case(2, 2, objective="sum_of_squares", network="moe_fno"),
    Case(4, 2, zero=2, gate="batch", accumulation=2, recompute=True),
]
OTHERS = [
    Case(2, 2, zero=0),
    Case(2, 2, objective="sum_of_squares"),
    Case(4, 2, zero=2, gate="batch", accumulation=2, recompute=True, network="moe_fno"),
    Case(2, 2, compile=True, network="moe_fno"),
    Case(4, 2),
    Case(2, 2, zero=2),
    Case(2, 2, zero=1, gate="batch", recompute=True),
    Case(2, 1, zero=0, gate="batch"),
    Case(2, 2, accumulation=2),
    Case(2, 2, unit="token"),
    Case(2, 2, network="moe_fno", by="corpus"),
    Case(2, 2, network="by_context", sees="context", gate="batch"),
    Case(2, 2, network="by_context", sees="context", compile=True),
    Case(4, 2, zero=2, recompute=True, network="by_context", sees="context"),
    Case(2, 2, offload=True),
    Case(2, 1, compile=True),
    Case(2, 2, compile=True),
]


@pytest.mark.parametrize(
    "case",
    [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)],
    ids=lambda c: "-".join(map(str, c)),
)
def test_layout_gives_the_losses_gradients_and_weights_of_one_rank(case, serial):
    alone, spread = serial(case), on_ranks(case.world, train, case)
    assert spread[0]["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    seen = set()
    for rank in spread:
        for name, gradient in rank["grads"].items():
            seen.add(name)
            torch.testing.assert_close(gradient, alone["grads"][name], **CLOSE, msg=name)
    assert seen == set(alone["grads"]), "every expert's gradient was compared"
    for name, gradient in alone["grads"].items():
        # Adam divides by the root of second moments: a step of 1e-3 may differ by 1 %, and a
        # gradient that is round-off (of a bias before a batch norm) gives any step at all.
        sure = gradient.abs() > 1e-6
        ours, weight = spread[0]["weights"][name][sure], alone["weights"][name][sure]
        torch.testing.assert_close(ours, weight, rtol=1e-4, atol=2e-5, msg=name)


def test_ranks_agree_on_the_global_gradient_norm(serial):
    """Experts, of which each rank holds half, count once."""
    alone, spread = serial(Case(2, 2)), on_ranks(2, train, Case(2, 2))
    for rank in spread:
        assert rank["norms"] == pytest.approx(alone["norms"], rel=1e-5)


def exported_and_trained(case: Case) -> tuple[float, float]:
    """Largest difference of forecasts by the gathered weights and by the engine; its scale."""
    join_ranks()
    settings = {"width": 32, "blocks": 2, "heads": 4, "resolution": RESOLUTION, "patch": 4}
    config = read_model_config({**settings, "head_width": 8}, "test")
    template = {"zero_optimization": {"stage": 1}, "bf16": {"enabled": True}}
    step = resolve_deepspeed_config(template, StepConfig(micro_batch=4))
    engine = build_engine(build_model(config, seed=0), step, case.ep_size)
    own = part(global_batch(), 0, 4)
    engine.backward(losses_of(engine(own), own, LossConfig(), sum_over_ranks).total)
    engine.step()
    weights = gather_weights(engine)
    with torch.no_grad():
        trained = engine.module(own).fields
    leave_ranks()
    if weights is None:
        return 0.0, 1.0
    plain = build_model(config)
    plain.load_state_dict(weights)
    with torch.no_grad():
        exported = plain(own).fields
    return float((exported - trained).abs().max()), float(trained.abs().max())


@pytest.mark.slow
def test_a_bf16_run_exports_the_function_it_trained():
    (difference, scale), _ = on_ranks(2, exported_and_trained, Case(2, 2, bf16=True))
    # the same weights, once computed with in bf16 and once in float32
    assert difference < 0.02 * scale


@pytest.mark.parametrize(
    "case",
    [
        Case(2, 2, bf16=True),
        pytest.param(Case(2, 1, bf16=True, compile=True), marks=pytest.mark.slow),
    ],
    ids=lambda c: "-".join(map(str, c)),
)
def test_bf16_follows_float32_within_its_precision(case, serial):
    alone, spread = serial(Case(2, 2)), on_ranks(2, train, case)
    # 8 bits of mantissa through two blocks: one per cent of the loss; after a step of Adam a
    # sample near a tie may change its experts, which moves the balance loss of 8 samples more.
    assert spread[0]["losses"][0] == pytest.approx(alone["losses"][0], rel=1e-2)
    assert spread[0]["losses"] == pytest.approx(alone["losses"], rel=6e-2)


def route_with_recorder(ep_size: int) -> tuple[int, int]:
    """(rows sent by this rank, samples times owning ranks) of one forward."""
    ranks = join_ranks()
    sent_rows: list[int] = []
    real = expert_parallel.begin_exchange

    def recording(rows: Any, sent: list[int], received: list[int], group: Any) -> Any:
        sent_rows.append(sum(sent))
        return real(rows, sent, received, group)

    expert_parallel.begin_exchange = recording
    bank = ExpertBank(Experts(8, 4, 4))
    parallel = torch.nn.ModuleDict({"bank": bank})
    expert_parallel.spread_experts(parallel, ep_size)
    parallel["bank"].set_deepspeed_parallelism()
    logits = torch.full((4, 8), -9.0)
    logits[:, :2] = 1.0  # samples 0-2 stay with the first rank's experts
    logits[3, 2:4] = 5.0
    logits[3, 7] = 4.0
    values, experts = logits.topk(2)
    routing = Routing(logits, experts, values.softmax(-1))
    parallel["bank"](torch.randn(4, 3, 4), routing, None)
    owners = routing.chosen_BE.view(4, ep_size, -1).any(-1).sum()
    leave_ranks()
    assert ranks.world == 2
    return sent_rows[0], int(owners)


def test_a_sample_travels_once_to_each_rank_that_owns_its_experts_and_to_no_other():
    for rows, owners in on_ranks(2, route_with_recorder, 2):
        assert rows == owners
        assert rows < 4 * 2  # two experts per sample, most of them on one rank


def order_of_events(num_shared: int) -> tuple[list[str], list[str]]:
    """What one block does in order, forward and back: exchanges begun and ended, shared experts."""
    join_ranks()
    events: list[str] = []
    flight = collectives._Flight
    begin, end = flight.begin, flight.end
    flight.begin = lambda *a: (events.append("begin"), begin(*a))[1]
    flight.end = lambda *a: (events.append("end"), end(*a))[1]
    mix = expert_parallel.mix_chosen

    def recording(*arguments: Any) -> torch.Tensor:
        out = mix(*arguments)
        if len(arguments) == 4 and arguments[3]:
            events.append("shared")
            out.register_hook(lambda _: events.append("shared"))
        return out

    expert_parallel.mix_chosen = recording
    parallel = torch.nn.ModuleDict({"bank": ExpertBank(Experts(8, 4, 4))})
    expert_parallel.spread_experts(parallel, 2)
    parallel["bank"].set_deepspeed_parallelism()
    shared = Experts(num_shared, 4, 4)
    logits = torch.arange(32.0).view(4, 8).sin().requires_grad_()
    values, experts = logits.topk(3)
    routing = Routing(logits, experts, values.softmax(-1))
    out = parallel["bank"](torch.randn(4, 3, 4, requires_grad=True), routing, shared)
    forward = list(events)
    events.clear()
    out.sum().backward()
    leave_ranks()
    return forward, list(events)


@pytest.mark.parametrize("num_shared", [1, 2])
def test_shared_experts_are_computed_while_samples_or_their_gradients_travel(num_shared):
    for events in (way for rank in on_ranks(2, order_of_events, num_shared) for way in rank):
        travelling = 0
        seen = []
        for event in events:
            travelling += {"begin": 1, "end": -1}.get(event, 0)
            if event == "shared":
                seen.append(travelling)
        assert travelling == 0
        assert events.count("begin") == 3  # samples, their routes, and back
        assert len(seen) == num_shared
        assert min(seen) > 0
