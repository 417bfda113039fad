"""Counts before a launch agree with what happens in one."""

import pytest
import torch
from architectures import SIZES, config_of, random_batch
from torch.utils.flop_counter import FlopCounterMode

from foundation.models.cost import cost_of
from foundation.models.registry import ModelConfig, build_model
from foundation.models.work import work_of

CASES = [
    *((name, {}) for name in SIZES),
    *((name, {"instance_norm": True, "target": "increment", "out_frames": 3}) for name in SIZES),
    ("moe_pot", {"mlp_ratio": 2, "num_shared": 1, "router": {"num_experts": 6, "top_k": 3}}),
    ("moe_pot", {"modes": 2}),
    ("dpot", {"mlp_ratio": 3, "time_aggregation": "mlp"}),
    ("fno", {"layers": 1, "modes": 8}),
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
    cost = cost_of(config_of(name), 4, 1, 2, False, 3)
    assert cost.activation_bytes == 3 * 4 * work_of(config_of(name)).kept
    assert cost.weight_bytes == 4 * cost.parameters.total
    assert cost.gradient_bytes == pytest.approx(cost.weight_bytes / 4, rel=1e-3)
    assert (cost.expert_parameters > 0) == (name == "moe_pot")
