"""Laws of the metrics: closed forms, the published protocol, what the masks leave out."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forecasts import forecast_of
from safetensors.torch import load_file
from torch import Tensor

from data_shards.errors import UserError
from evaluation.metrics import relative
from evaluation.metrics.names import METRICS, find_metric
from evaluation.metrics.points import scored_points
from evaluation.metrics.registry import MEASUREMENTS, find_measurement, measure
from evaluation.metrics.relative import l2re, l2re_per_frame, max_error, nrmse, vrmse
from foundation.physics.norms import relative_l2


def _all_points(fields: Tensor) -> Tensor:
    return torch.ones_like(fields[:, :1])


def test_l2re_agrees_with_the_published_protocol(golden: Path) -> None:
    tensors = load_file(golden / "l2re_reference.safetensors")
    # (B, X, Y, T, C) -> (B, T, C, H=Y, W=X)
    pred, true, mask = (tensors[k].permute(0, 3, 4, 2, 1) for k in ("pred", "true", "mask"))
    # 1e-6: float32 sums in another order
    torch.testing.assert_close(
        l2re(pred, true, mask), tensors["l2re_per_sample"], atol=1e-6, rtol=0
    )


def test_l2re_by_hand_is_the_mean_over_channels_of_norm_ratios() -> None:
    true = torch.tensor([3.0, 4.0, 1.0, 0.0]).reshape(1, 1, 2, 1, 2)  # norms 5 and 1
    pred = true + torch.tensor([1.0, 0.0, 0.0, 0.5]).reshape(1, 1, 2, 1, 2)
    torch.testing.assert_close(l2re(pred, true, _all_points(true)), torch.tensor([(0.2 + 0.5) / 2]))


def test_l2re_takes_one_norm_over_frames_and_nrmse_one_per_frame() -> None:
    true = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1, 1)
    pred = torch.tensor([3.0, 2.0]).reshape(1, 2, 1, 1, 1)
    points = _all_points(true)
    torch.testing.assert_close(l2re(pred, true, points), torch.tensor([2 / 5]))
    torch.testing.assert_close(l2re_per_frame(pred, true, points), torch.tensor([[0.0, 0.5]]))
    torch.testing.assert_close(nrmse(pred, true, points), torch.tensor([0.25]))


def test_vrmse_by_hand_divides_by_the_spatial_variance() -> None:
    true = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 1, 2)  # variance 1
    pred = true + 0.5
    expected = torch.tensor([(0.25 / (1 + 1e-7)) ** 0.5])
    torch.testing.assert_close(vrmse(pred, true, _all_points(true)), expected)


def test_vrmse_of_the_well_divides_as_torchs_own_deviation(generator: torch.Generator) -> None:
    true = torch.randn(2, 3, 2, 4, 8, generator=generator)
    pred = true + 0.3 * torch.randn(true.shape, generator=generator)
    spread = true.std(dim=(3, 4))  # unbiased, as The Well's program takes it
    error = (pred - true).square().mean(dim=(3, 4))
    expected = (error / (spread.square() + 1e-7)).sqrt().mean(dim=(1, 2))
    points = _all_points(true)
    torch.testing.assert_close(vrmse(pred, true, points, unbiased=True), expected)
    other = vrmse(pred, true, points)  # of 32 points
    torch.testing.assert_close(expected / other, torch.full((2,), (31 / 32) ** 0.5))


def test_vrmse_of_the_spatial_mean_is_one(generator: torch.Generator) -> None:
    true = torch.randn(3, 4, 2, 8, 8, generator=generator)
    mean = true.mean(dim=(3, 4), keepdim=True).expand_as(true)
    # 1e-5: the eps 1e-7 in the denominator and float32 sums
    torch.testing.assert_close(
        vrmse(mean, true, _all_points(true)), torch.ones(3), atol=1e-5, rtol=0
    )


def test_max_error_by_hand_is_the_largest_absolute_difference() -> None:
    true = torch.zeros(2, 3, 1, 2, 2)
    pred = true.clone()
    pred[0, 2, 0, 1, 0], pred[0, 1, 0, 0, 0], pred[1, 0, 0, 1, 1] = -7.0, 2.0, 0.5
    value = max_error(pred, true, _all_points(true))
    torch.testing.assert_close(value, torch.tensor([7.0, 0.5]))


# Of eigenvectors, and not of fields; their laws are in test_states.py.
OF_STATES = {
    *("infidelity", "overlap", "energy_error", "eigen_residual"),
    *("magnetisation", "magnetisation_exact", "correlation", "correlation_exact"),
}
OF_FACES = {  # test_velocity_on_faces.py
    *("face_divergence", "max_divergence", "max_divergence_stored", "mean_flow_error"),
    *("slip", "slip_exact"),
}
# Of more than a forecast: members, bands (test_ensemble.py, test_bands.py), latents.
OF_MODELS = {"spread_skill", "coverage", "band_width", "interval_score", "latent"}
OF_FIELDS = [name for name in METRICS if name not in OF_STATES | OF_FACES | OF_MODELS]
# A residual asks the equation and not the truth: test_residual.py, test_evolution_residual.py.
OF_EQUATIONS = ("residual", "evolution_residual")
AGAINST_TRUTH = [name for name in OF_FIELDS if name not in OF_EQUATIONS]
ERRORS = [name for name in AGAINST_TRUTH if not METRICS[name].higher_is_better]
LAWS = {
    "channels": ("density", "vorticity"),
    "sides": ("left", "top"),
    "conserved": {
        "mass": ("density",),
        "momentum": ("density * vorticity", "density"),
        "energy": ("density**2",),
        "circulation": ("vorticity",),
    },
    "solenoidal": ("density", "vorticity"),
}


# What is conserved fills the whole domain.
@pytest.mark.parametrize("name", [name for name in ERRORS if not name.startswith("drift")])
def test_what_the_mask_leaves_out_changes_no_error(name: str, generator: torch.Generator) -> None:
    true = torch.randn(2, 3, 2, 32, 32, generator=generator)
    pred = true + 0.1 * torch.randn(true.shape, generator=generator)
    points = (
        (torch.rand(2, 1, 1, 32, 32, generator=generator) > 0.1).float().expand(-1, -1, 2, -1, -1)
    )
    noise = 100 * torch.randn(true.shape, generator=generator)
    disturbed = torch.where(points > 0, pred, pred + noise)
    values = measure((name,), forecast_of(pred, true, points, **LAWS))
    torch.testing.assert_close(
        measure((name,), forecast_of(disturbed, true, points, **LAWS)), values
    )
    assert (values[name] > 0).all()


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("cell", [0, 13])
def test_a_forecast_that_is_not_finite_scores_inf_and_spares_its_neighbours(
    name: str, bad: float, cell: int, generator: torch.Generator
) -> None:
    true = torch.randn(2, 3, 2, 32, 32, generator=generator)
    pred = true + 1.0
    pred[1, 2, :, cell, cell] = bad
    value = measure((name,), forecast_of(pred, true, **LAWS))[name]
    assert torch.isfinite(value[0])
    # that of a shape, to which size is nothing, is none
    assert torch.isnan(value[1]) if name == "grid_imprint" else value[1] == torch.inf


@pytest.mark.parametrize("name", AGAINST_TRUTH)
def test_a_perfect_forecast_has_no_error(name: str, generator: torch.Generator) -> None:
    true = torch.randn(2, 3, 2, 32, 32, generator=generator)
    value = measure((name,), forecast_of(true.clone(), true, **LAWS))[name]
    if name == "divergence":
        assert (value > 0).all(), "the truth here is no incompressible flow"
    elif name == "growth":
        torch.testing.assert_close(value.float(), torch.ones(2))
    elif METRICS[name].higher_is_better:
        torch.testing.assert_close(value, torch.tensor([3.0, 3.0]))
    else:
        torch.testing.assert_close(value.float(), torch.zeros(2))


# Momentum and energy are not linear in the fields; VRMSE has an absolute term.
NONLINEAR = ("drift_momentum", "drift_energy", "vrmse")
RELATIVE = [name for name in OF_FIELDS if METRICS[name].unit == "1" and name not in NONLINEAR]


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_errors_are_unchanged_when_fields_are_scaled_together(
    name: str, generator: torch.Generator
) -> None:
    pred, true = torch.randn(2, 2, 3, 2, 32, 32, generator=generator)
    value = measure((name,), forecast_of(pred, true, **LAWS))
    # 1024 is a power of two: not even round-off differs
    scaled = measure((name,), forecast_of(1024 * pred, 1024 * true, **LAWS))
    torch.testing.assert_close(scaled, value)


@pytest.mark.parametrize(
    "name", [n for n in OF_FIELDS if n not in ("boundary_error", "divergence", "grid_imprint")]
)
def test_where_a_periodic_field_begins_does_not_matter(
    name: str, generator: torch.Generator
) -> None:
    pred, true = torch.randn(2, 2, 3, 2, 32, 32, generator=generator)
    moved = [fields.roll((5, -9), (-2, -1)) for fields in (pred, true)]
    value = measure((name,), forecast_of(pred, true, **LAWS))
    # 1e-5: float32 sums in another order
    torch.testing.assert_close(
        measure((name,), forecast_of(*moved, **LAWS)), value, rtol=1e-5, atol=1e-6
    )


def test_a_metric_that_does_not_apply_is_absent_and_never_zero() -> None:
    fields = torch.ones(1, 2, 1, 8, 8)
    values = measure((*METRICS, "l2re_frame_2", "l2re_frame_3"), forecast_of(fields, fields))
    assert set(METRICS) - set(values) == {
        "spectral_mid",
        "spectral_high",
        "drift_mass",
        "drift_momentum",
        "drift_energy",
        "drift_circulation",
        "divergence",
        "boundary_error",
        "residual",
        *OF_STATES,
        *OF_FACES,
        *OF_MODELS,
        "grid_imprint",
        "evolution_residual",
    }
    assert "l2re_frame_2" in values
    assert "l2re_frame_3" not in values


def test_errors_of_single_frames_are_those_of_the_curve(generator: torch.Generator) -> None:
    pred, true = torch.randn(2, 2, 4, 1, 8, 8, generator=generator)
    forecast = forecast_of(pred, true)
    values = measure(("l2re_frame_1", "l2re_frame_4"), forecast)
    torch.testing.assert_close(
        values["l2re_frame_1"], l2re(pred[:, :1], true[:, :1], forecast.points_B1CHW)
    )
    torch.testing.assert_close(
        values["l2re_frame_4"], l2re_per_frame(pred, true, forecast.points_B1CHW)[:, 3]
    )


def test_what_follows_from_the_curve_alone_is_what_was_measured(generator: torch.Generator) -> None:
    pred, true = torch.randn(2, 3, 4, 1, 8, 8, generator=generator)
    forecast = forecast_of(true + 0.1 * pred, true, threshold=0.1)
    for name in (*METRICS, "l2re_frame_3"):
        from_curve = find_measurement(name).from_curve
        if from_curve is not None:
            torch.testing.assert_close(
                from_curve(forecast.per_frame_BT, 0.1), measure((name,), forecast)[name]
            )


def test_an_unknown_metric_gets_the_nearest_known_one() -> None:
    with pytest.raises(UserError, match="did you mean 'spectral_low'"):
        find_metric("spectral_lo")
    with pytest.raises(UserError, match="unknown metric 'l2re_frame_0'"):
        find_metric("l2re_frame_0")


def test_every_name_is_measured_and_every_measurement_has_a_name() -> None:
    assert METRICS.keys() == MEASUREMENTS.keys()
    for name in ("l2re_frame_3", "vrmse_frames_2_4", "drift_salt"):
        assert find_metric(name).title
        assert find_measurement(name).measure


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.title, name
        assert metric.meaning, name
        assert metric.unit, name
    higher = {n for n, m in METRICS.items() if m.higher_is_better}
    assert higher == {"valid_frames", "valid_time", "stable_frames", "overlap"}


@pytest.mark.parametrize(("stride", "kept"), [(1, 64), (2, 16), (4, 4)])
def test_stride_keeps_every_kth_point_from_the_corner(stride: int, kept: int) -> None:
    points = scored_points(torch.ones(1, 1), torch.ones(1, 1, 8, 8), stride)
    assert points.sum() == kept
    assert points[0, 0, 0, 0, 0] == 1


def test_l2re_is_unchanged_when_fields_are_scaled_together(generator: torch.Generator) -> None:
    true, pred = torch.randn(2, 2, 3, 2, 4, 4, generator=generator)
    points = _all_points(true)
    torch.testing.assert_close(l2re(1e3 * pred, 1e3 * true, points), l2re(pred, true, points))


def test_relative_l2_of_a_perfect_forecast_has_zero_value_and_zero_gradient() -> None:
    true = torch.ones(1, 2, 1, 3, 3)
    pred = true.clone().requires_grad_()
    value = relative_l2(pred, true)
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0.0
    assert pred.grad is not None
    torch.testing.assert_close(pred.grad, torch.zeros_like(pred))


def test_relative_l2_of_half_precision_is_summed_in_single() -> None:
    true = torch.ones(1, 1, 1, 128, 128, dtype=torch.bfloat16)
    value = relative_l2(true * 1.5, true)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, torch.tensor([[0.5]]))


def test_the_readme_explains_every_metric() -> None:
    text = (Path(relative.__file__).parent / "README.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("metric", [vrmse, max_error, l2re, nrmse])
def test_a_box_is_worth_what_its_cells_in_one_plane_are(
    metric: Callable[[Tensor, Tensor, Tensor], Tensor], generator: torch.Generator
) -> None:
    true, error = torch.randn(2, 3, 2, 2, 4, 3, 5, generator=generator).unbind(0)
    points = (torch.rand(3, 1, 2, 4, 3, 5, generator=generator) > 0.3).float()
    flat = [fields.flatten(3, 4) for fields in (true + error, true, points)]
    torch.testing.assert_close(metric(true + error, true, points), metric(*flat))


RELATIVE = ("l2re", "nrmse", "vrmse", "spectral_low", "growth", "boundary_error", "l2re_frame_1")


@pytest.mark.parametrize("name", [*RELATIVE, "valid_frames"])
def test_a_channel_whose_truth_has_no_norm_is_left_out(
    name: str, generator: torch.Generator
) -> None:
    true = torch.randn(2, 3, 2, 12, 12, generator=generator)
    pred = true + 0.1 * torch.randn(true.shape, generator=generator)
    alone = find_measurement(name).measure(
        forecast_of(pred[:, :, :1], true[:, :, :1], sides=("left",))
    )
    true[:, :, 1] = 0.0  # and predicted as something small
    both = find_measurement(name).measure(forecast_of(pred, true, sides=("left",)))
    # float32: sums over the same numbers, which lie elsewhere in memory
    torch.testing.assert_close(both, alone, rtol=1e-6, atol=0)
    assert (alone > 0).all()


def test_a_frame_without_any_norm_counts_as_without_error_and_vrmse_wants_a_spread() -> None:
    true = torch.zeros(1, 2, 1, 2, 2)
    true[:, 1, 0, 0] = 1.0
    pred, points = true + 0.5, _all_points(true)
    assert l2re_per_frame(pred, true, points)[0, 0] == 0
    torch.testing.assert_close(vrmse(pred, true, points), torch.tensor([1.0]), rtol=1e-6, atol=0)
    flat = torch.full_like(true, 0.1)
    assert vrmse(flat + 0.5, flat, points) == 0
    torch.testing.assert_close(l2re(flat + 0.5, flat, points), torch.tensor([5.0]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_forecast_that_is_not_finite_scores_inf_even_where_the_truth_is_zero(bad: float) -> None:
    true = torch.stack([torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)], dim=2)
    pred = true.clone()
    pred[0, 0, 1, 2, 2] = bad
    assert l2re(pred, true, _all_points(true)) == torch.inf
