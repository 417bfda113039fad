"""What boxes cost is what torch counts of them at work."""

from typing import Any

import pytest
import torch
from constrained import constrained_network, first_frames
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from foundation.constraint.work import solve_work

ARMS = [
    ("burgers", "soft", {}),
    ("burgers", "one", {}),
    ("burgers", "mixture", {"overlap": 1, "points": 160}),
    ("burgers", "mixture", {"scattered": True, "judged": "whole"}),
    ("diffusion_sorption", "one", {"points": 100}),
    ("diffusion_sorption", "mixture", {"rows": "own"}),
    ("diffusion_sorption", "mixture", {"solver": {"curvature": "gauss_newton", "iterations": 5}}),
    ("vorticity", "mixture", {"points": 400, "learnt_frames": 3}),
    (
        "burgers",
        "mixture",
        {"faces": "anchored", "solver": {"iterations": 3, "tolerance": 1e-30}},
    ),
]


def counted(equation: str, enforced: str, options: dict) -> tuple[int, int, float, object]:
    """FLOPs of a layer forward and backward on two samples, steps of a box, and the layer."""
    layer = constrained_network("fno", equation, enforced, basis=16, **options).constraint.train()
    batch = first_frames(equation, 2)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(2, 16, *layer.shape, generator=generator, dtype=torch.float64)
    basis.requires_grad_()
    first = batch.given[:, -1, 0].reshape(2, *layer.shape[1:])
    with FlopCounterMode(display=False) as forward:
        found = layer(basis, first, batch.origins)
    with FlopCounterMode(display=False) as backward:
        found.terms["residual"].sum().backward()
    steps = float(found.terms.get("iterations", torch.zeros(1)).mean())
    return forward.get_total_flops(), backward.get_total_flops(), steps, layer


@pytest.mark.parametrize(("equation", "enforced", "options"), ARMS)
def test_flops_of_a_solve_are_those_that_torch_counts(equation, enforced, options):
    forward, backward, steps, layer = counted(equation, enforced, options)
    work = solve_work(layer.config, layer.shape)
    assert 2 * work.forward(steps) == forward
    # Torch folds some products with vectors, which are 2 of 16 parts here, or does not.
    assert 2 * work.back == pytest.approx(backward, rel=0.12)


class Launched(TorchDispatchMode):
    """Counts operations that do something, while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = [each.alias_info for each in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in returned)
        self.seen += not is_view and "empty" not in func.name()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("equation", ["burgers", "diffusion_sorption", "vorticity"])
def test_a_step_launches_about_as_many_operations_as_a_block(equation):
    seen, depths = [], []
    for steps in (2, 5):
        solver = {"iterations": steps, "tolerance": 1e-30}
        layer = constrained_network("fno", equation, solver=solver).constraint
        batch = first_frames(equation, 1)
        basis = torch.randn(1, 5, *layer.shape, generator=torch.Generator().manual_seed(0))
        with Launched() as launched:
            found = layer(basis, batch.given[:, -1, 0].reshape(1, *layer.shape[1:]), batch.origins)
        assert float(found.terms["iterations"]) == steps
        seen.append(launched.seen)
        depths.append(solve_work(layer.config, layer.shape).depth(steps))
    per_block = (seen[1] - seen[0]) / (depths[1] - depths[0])
    assert 150 < per_block < 450  # 300 is what the clusters' files take for a block


def test_the_whole_hessian_costs_most_and_the_square_of_the_weights():
    few, many = (
        solve_work(layer.config, layer.shape).evaluation
        for layer in (
            constrained_network("fno", "burgers", "one", basis=n).constraint for n in (16, 64)
        )
    )
    assert 4 < many / few < 16


def test_what_a_soft_arm_keeps_is_what_autograd_keeps():
    """Of a solve the derivatives and the boxes' own tensors come besides."""
    sizes: dict[int, tuple[int, torch.Tensor]] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that none is reused
        return tensor

    layer = constrained_network("fno", "burgers", "soft", basis=16).constraint
    batch = first_frames("burgers", 2)
    basis = torch.randn(2, 16, *layer.shape, generator=torch.Generator().manual_seed(0))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(basis.double().requires_grad_(), batch.given[:, 0, 0, 0], batch.origins)
    kept = sum(size for size, _ in sizes.values()) / 4 / 2
    assert solve_work(layer.config, layer.shape).kept == pytest.approx(kept, rel=0.1)


def test_boxes_share_points_and_repeat_the_rows_of_the_whole_domain():
    one, four, own = (
        constrained_network("fno", "diffusion_sorption", enforced, points=160, **options)
        for enforced, options in (("one", {}), ("mixture", {}), ("mixture", {"scattered": True}))
    )
    works = [solve_work(each.constraint.config, each.constraint.shape) for each in (one, four, own)]
    assert [work.boxes * work.points for work in works] == [160, 160, 160]
    each = [work.boxes * work.evaluation for work in works]
    assert each[0] < each[1] == each[2] < 2.5 * each[0]
