"""Counts before a launch agree with what happens in one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import SIZES, config_of, random_batch
from torch.utils.flop_counter import FlopCounterMode

from foundation.models.registry import ModelConfig, build_model, work_of
from foundation.plan.cost import REDUCE_BUCKET, cost_of
from foundation.plan.mixture_work import dense_work_of
from foundation.plan.traffic import Spread, expected_ranks, traffic_of
from foundation.train.config import load_run_config

ROOT = Path(__file__).parents[3]
STUDIES = ROOT / "evaluation" / "studies"
SPARSE = ("moe_pot", "moe_fno")
ROUTED_ENDS = {"routed_ends": True, "router": {"sees": "context", "num_experts": 5, "top_k": 2}}
CASES = [
    *((name, {}) for name in SIZES),
    *((name, {"instance_norm": True, "target": "increment", "out_frames": 3}) for name in SIZES),
    *((name, {"asked_channels": 2, "instance_norm": True}) for name in SIZES),
    ("moe_pot", {"mlp_ratio": 2, "num_shared": 1, "router": {"num_experts": 6, "top_k": 3}}),
    ("moe_pot", {"modes": 2}),
    ("moe_pot", {"router": {"unit": "token", "num_experts": 6, "top_k": 3}}),
    ("moe_pot", {"router": {"by": "random", "num_experts": 6, "top_k": 1}}),
    ("moe_pot", {"head": "smooth"}),
    ("moe_fno", {"router": {"by": "corpus", "num_experts": 6, "top_k": 1}}),
    ("moe_fno", {"layers": 1, "modes": 8, "routed_modes": None, "shared": False}),
    ("dpot", {"mlp_ratio": 3, "time_aggregation": "mlp"}),
    ("fno", {"layers": 1, "modes": 8}),
    ("fno", {"places": False}),
    ("fno", {"skip": True}),
    ("fno", {"patch": 2, "residual": True}),
    ("moe_fno", {"patch": 2, "skip": True, "residual": True}),
    ("fno", {"patch": 2, "skip": True, "head": "smooth"}),
    ("moe_fno", {"patch": 2, "head": "smooth", "skip": True, **ROUTED_ENDS}),
    ("moe_fno", ROUTED_ENDS),
    ("moe_pot", {"router": {"sees": "context", "num_experts": 6, "top_k": 3}}),
    ("unet", {"levels": 1}),
    ("unet", {"levels": 2, "padding": "circular"}),
]


def per_sample(count: object) -> float:
    """A quantity of the batch size without what all samples share."""
    return (count(4) - count(2)) / 2  # type: ignore[operator]


def products(config: ModelConfig, samples: int) -> int:
    model = build_model(config, seed=0)
    with FlopCounterMode(display=False) as counter:
        model(random_batch(torch.Generator().manual_seed(0), samples))
    return counter.get_total_flops()


def step_products(config: ModelConfig, samples: int, recompute: bool) -> int:
    model = build_model(config, seed=0)
    model.recompute_blocks = recompute
    batch = random_batch(torch.Generator().manual_seed(0), samples, config.resolution)
    with FlopCounterMode(display=False) as counter:
        prediction = model(batch)
        (prediction.fields.sum() + prediction.class_logits.sum()).backward()
    return counter.get_total_flops()


def kept(config: ModelConfig, samples: int) -> int:
    """Numbers that a forward pass keeps, in storages of its own."""
    model = build_model(config, seed=0)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, tuple[int, torch.Tensor]] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that none is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        prediction = model(random_batch(torch.Generator().manual_seed(0), samples))
    assert prediction.fields.requires_grad
    return sum(size for size, _ in sizes.values()) // 4


@pytest.mark.parametrize(("name", "options"), CASES)
def test_products_are_those_that_torch_counts(name, options):
    config = config_of(name, **options)
    assert work_of(config).products == per_sample(lambda samples: products(config, samples))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_what_is_kept_for_the_backward_pass_is_what_autograd_keeps(name, options):
    config = config_of(name, **options)
    # Gates, indices and other small things are left out: a few numbers per feature.
    expected = per_sample(lambda samples: kept(config, samples))
    assert work_of(config).kept == pytest.approx(expected, rel=0.1)


def test_transforms_grow_as_n_log_n_and_a_unet_has_none():
    small, large = (
        work_of(config_of("fno", resolution=side, layers=2, modes=side // 2)).transforms
        for side in (16, 32)
    )
    # both axes in full but for the last column: four times the points, one octave more
    assert large / small == pytest.approx(4 * 5 / 4)
    assert work_of(config_of("unet")).transforms == 0


@pytest.mark.parametrize("name", SIZES)
def test_a_layouts_memory_adds_up(name):
    cost, work = cost_of(config_of(name), 4, 1, 2, False, 3), work_of(config_of(name))
    assert cost.activation_bytes == 4 * (3 * work.kept + work.shared)
    assert cost.weight_bytes == 4 * cost.parameters.total == 4 * cost.rank_parameters
    assert cost.gradient_bytes == pytest.approx(cost.weight_bytes / 4, rel=1e-3)
    assert cost.optimiser_bytes == pytest.approx(3 * cost.weight_bytes / 4, rel=1e-3)
    state = cost.weight_bytes + cost.optimiser_bytes
    assert cost.peak_bytes >= state + cost.activation_bytes + cost.bucket_bytes
    assert cost.process_bytes > cost.peak_bytes
    assert (cost.expert_parameters > 0) == (name in SPARSE)


@pytest.mark.parametrize("name", ["tiny", "medium"])
def test_processes_take_what_was_recorded_of_runs(name):
    """Of two ranks on two cores, all libraries included."""
    study = json.loads((STUDIES / "steps_on_two_cores.json").read_text())
    (run,) = (run for run in study["runs"] if run["preset"] == name)
    samples = int(run["command"].partition("global_batch=")[2].split()[0]) // 2
    cost = cost_of(
        load_run_config(name, []).model, 2, 2, 1, run["setting"].startswith("bf16"), samples
    )
    recorded = run["peak_memory_gib_of_both_ranks"] * 2**30
    assert 2 * cost.process_bytes == pytest.approx(recorded, rel=0.1)


@pytest.mark.parametrize("name", SIZES)
def test_a_batch_holds_the_given_channels_and_the_asked_ones(name):
    """Three of four channels fewer are asked, and nothing else becomes smaller than they are."""
    one, four = (cost_of(config_of(name, asked_channels=n), 1, 1, 0, False, 2) for n in (1, 4))
    own = four.activation_bytes + four.weight_bytes + four.optimiser_bytes
    own -= one.activation_bytes + one.weight_bytes + one.optimiser_bytes
    saved = 4 * 2 * 2 * 3 * 16 * 16  # as read and with noise, float32, two samples
    assert four.peak_bytes - one.peak_bytes >= saved + own


def test_the_bucket_is_that_of_the_shipped_configurations():
    sharded = [
        zero
        for path in (ROOT / "ds_configs").glob("*.json")
        if (zero := json.loads(path.read_text())["zero_optimization"])["stage"]
    ]
    assert len(sharded) == 4
    assert {zero["reduce_bucket_size"] for zero in sharded} == {REDUCE_BUCKET}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in SIZES),
        ("moe_fno", {"routed_ends": True, "router": {"sees": "context", "num_experts": 4}}),
        ("moe_pot", {"router": {"sees": "context", "num_experts": 6, "top_k": 3}}),
    ],
)
def test_a_steps_products_are_those_that_torch_counts_backward_too(name, options, recompute):
    config = config_of(name, resolution=32, **options)
    work, cost = work_of(config), cost_of(config, 1, 1, 1, False, 1, 1, recompute)
    transforms = (3 if recompute else 2) * work.transforms
    expected = per_sample(lambda samples: step_products(config, samples, recompute))
    # A block's last map is not run again: nothing needs its result.
    assert cost.flops_step - transforms == pytest.approx(expected, rel=0.1 if recompute else 1e-9)


@pytest.mark.parametrize("name", SIZES)
def test_dense_work_is_that_of_a_network_which_computes_all_experts(name):
    experts = {"num_experts": config_of(name).num_routed}
    whole = {"router": {**experts, "top_k": experts["num_experts"]}} if name in SPARSE else {}
    expected = per_sample(lambda samples: products(config_of(name, **whole), samples))
    work, dense = work_of(config_of(name)), dense_work_of(config_of(name))
    assert dense.products == expected
    assert (dense.products > work.products) == (name in SPARSE)


@pytest.mark.parametrize("name", SIZES)
def test_what_is_kept_whatever_the_batch_is_kept_once(name):
    config = config_of(name)
    one, two = kept(config, 1), kept(config, 2)
    # Coordinates and masks of a plane are small things that are left out.
    assert work_of(config).shared == pytest.approx(2 * one - two, abs=0.05 * one)


@pytest.mark.parametrize("ep_size", [2, 4, 8])
def test_ranks_of_a_sample_are_those_of_random_routes(ep_size, rng):
    config = config_of("moe_pot")
    experts, chosen = config.router.num_experts, config.router.top_k
    routes = np.argsort(rng.random((20_000, experts)), axis=1)[:, :chosen]
    owners = routes // (experts // ep_size)
    elsewhere = [len(set(ranks) - {0}) for ranks in owners.tolist()]
    assert expected_ranks(config, ep_size) == pytest.approx(np.mean(elsewhere), rel=0.02)


def test_one_rank_sends_nothing_and_copies_of_experts_reduce_among_themselves():
    config = config_of("moe_pot")
    assert traffic_of(config, 1000, 800, Spread(1, 1, 1, False, 4)).total == 0
    spread = traffic_of(config, 1000, 800, Spread(4, 2, 1, False, 4))
    assert spread.gradients == 2 * 3 / 4 * 4 * 1000
    assert spread.expert_gradients == 2 * 1 / 2 * 4 * 800
    assert spread.weights == 4 * (3 / 4 * 1000 + 1 / 2 * 800)
    alone = traffic_of(config, 1000, 800, Spread(4, 4, 0, True, 4))
    assert (alone.expert_gradients, alone.weights) == (0, 0)
