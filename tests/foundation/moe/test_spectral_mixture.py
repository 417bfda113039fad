"""Mixtures of spectral convolutions against complex sums over all experts, and what routes them."""

from math import hypot

import pytest
import torch
from torch import Tensor

from foundation.moe.mixing import ExpertRoutes
from foundation.moe.router import RouterConfig
from foundation.moe.spectral import SpectralMixture, all_at_once, mix_spectral, octaves
from foundation.nn.spectral import (
    SpectralConvolution,
    from_lowest_modes,
    lowest_modes,
    wave_vectors,
)

EXPERTS, WIDTH, MODES, SIDE = 6, 3, 2, 8
NUMBERS = [hypot(*vector) for vector in wave_vectors(MODES, 2)]


def drawn(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def choice_of(rows: int, top_k: int, generator: torch.Generator) -> Tensor:
    """Weights (M, E) with a gradient, zero where not chosen; the last expert never is."""
    weights = torch.rand(rows, EXPERTS, generator=generator, dtype=torch.float64) + 0.1
    weights[:, -1] = 0.0
    kept = torch.zeros_like(weights).scatter(1, weights.topk(top_k).indices, 1.0)
    return (weights * kept).requires_grad_()


def complex_sum(rows_MKF: Tensor, weights_ME: Tensor, weight_EKDF: Tensor) -> Tensor:
    """The same in complex numbers: experts merged into one set of matrices for every row."""
    rows = torch.complex(*rows_MKF.chunk(2, dim=2))
    experts = torch.complex(*weight_EKDF.chunk(2, dim=3))
    merged_MKDD = torch.einsum("me,ekij->mkij", weights_ME.to(experts.dtype), experts)
    out = torch.einsum("mki,mkij->mkj", rows, merged_MKDD)
    return torch.cat([out.real, out.imag], dim=2)


def on_a_device(rows_MKF: Tensor, routes: ExpertRoutes, weight_EKDF: Tensor) -> Tensor:
    return all_at_once(rows_MKF.transpose(0, 1), routes, weight_EKDF).transpose(0, 1)


@pytest.mark.parametrize("form", [mix_spectral, on_a_device])
@pytest.mark.parametrize(("rows", "top_k"), [(1, 1), (3, 2), (16, 4), (5, 5), (0, 2)])
def test_both_forms_equal_merged_experts_in_outputs_and_gradients(form, rows, top_k, generator):
    rows_MKF = drawn(generator, rows, len(NUMBERS), 2 * WIDTH)
    weight_EKDF = drawn(generator, EXPERTS, len(NUMBERS), WIDTH, 2 * WIDTH)
    weights_ME = choice_of(rows, top_k, generator)
    direction = torch.randn(rows_MKF.shape, generator=generator, dtype=torch.float64)
    found, wanted = [], []
    for into, out in (
        (found, form(rows_MKF, ExpertRoutes.of_weights(weights_ME), weight_EKDF)),
        (wanted, complex_sum(rows_MKF, weights_ME, weight_EKDF)),
    ):
        leaves = (rows_MKF, weights_ME, weight_EKDF)
        into += [out, *torch.autograd.grad((out * direction).sum(), leaves)]
    # Weights of experts that were not chosen have a gradient in the merged form alone.
    chosen = weights_ME.detach() > 0
    found[2], wanted[2] = found[2] * chosen, wanted[2] * chosen
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert not found[3][-1].any()


def mixture_of(generator: torch.Generator, top_k: int = 2, is_shared: bool = True):
    config = RouterConfig(num_experts=EXPERTS, top_k=top_k)
    routed = range(len(NUMBERS))
    mixture = SpectralMixture(WIDTH, NUMBERS, routed, is_shared, config)
    for parameter in mixture.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return mixture


def through(mixture: SpectralMixture, field: Tensor) -> tuple[Tensor, Tensor]:
    """A field (B, H, W, D) and the weights (B, E) by which it was mixed."""
    grid = field.shape[1:-1]
    modes, routing = mixture(lowest_modes(field, MODES), grid.numel(), 1.0)
    return from_lowest_modes(modes, grid, MODES), routing.weights_BE


def test_equal_experts_are_one_spectral_convolution(generator):
    """Routing weights sum to one: whatever is chosen of equals, a dense layer results."""
    mixture = mixture_of(generator, is_shared=False)
    with torch.no_grad():
        mixture.routed.experts.weight.copy_(
            mixture.routed.experts.weight[:1].expand_as(mixture.routed.experts.weight)
        )
    dense = SpectralConvolution(WIDTH, MODES)
    with torch.no_grad():
        dense.weight.copy_(torch.stack(mixture.routed.experts.weight[0].chunk(2, dim=2)))
    field = torch.randn(4, SIDE, SIDE, WIDTH, generator=generator)
    torch.testing.assert_close(through(mixture, field)[0], dense(field), rtol=1e-4, atol=1e-5)


def test_experts_act_on_their_modes_alone(generator):
    config = RouterConfig(num_experts=EXPERTS, top_k=2)
    mixture = SpectralMixture(WIDTH, NUMBERS, [1, 3], True, config)
    for parameter in mixture.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    modes = lowest_modes(torch.randn(4, SIDE, SIDE, WIDTH, generator=generator), MODES)
    before = mixture(modes, SIDE**2, 1.0)[0]
    with torch.no_grad():
        mixture.routed.experts.weight.add_(1.0)
    changed = (mixture(modes, SIDE**2, 1.0)[0] - before).abs().amax((0, 2)) > 1e-3
    assert changed.nonzero().flatten().tolist() == [1, 3]


def test_a_field_that_is_moved_round_its_period_chooses_the_same_and_comes_out_moved(generator):
    mixture = mixture_of(generator)
    field = torch.randn(4, SIDE, SIDE, WIDTH, generator=generator)
    out, weights = through(mixture, field)
    moved, weights_moved = through(mixture, field.roll((3, -2), (1, 2)))
    torch.testing.assert_close(weights_moved, weights, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved, out.roll((3, -2), (1, 2)), rtol=1e-4, atol=1e-5)


def test_a_finer_grid_of_the_same_field_chooses_the_same(generator):
    """What the router sees are coefficients of waves, whatever the number of points."""
    mixture = mixture_of(generator)
    waves = lowest_modes(torch.randn(4, SIDE, SIDE, WIDTH, generator=generator), MODES)
    _, coarse = through(mixture, from_lowest_modes(waves, (SIDE, SIDE), MODES))
    _, fine = through(mixture, from_lowest_modes(9 * waves, (3 * SIDE, 3 * SIDE), MODES))
    torch.testing.assert_close(fine, coarse, rtol=1e-4, atol=1e-5)


def test_octaves_part_all_modes_but_the_mean():
    member_KO = octaves(NUMBERS)
    assert member_KO.sum(1).tolist() == [0.0] + [1.0] * (len(NUMBERS) - 1)
    assert [NUMBERS[k] for k in range(len(NUMBERS)) if member_KO[k, 1]] == [
        n for n in NUMBERS if n >= 2
    ]
