"""Laws of the metrics: closed forms, the published protocol, what the masks leave out."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from evaluation.metrics import METRICS, l2re, l2re_per_frame, nrmse, scored_points, vrmse
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
    value = METRICS["max_error"](pred, true, _all_points(true))
    torch.testing.assert_close(value, torch.tensor([7.0, 0.5]))


@pytest.mark.parametrize("name", list(METRICS))
def test_what_the_mask_leaves_out_changes_no_metric(name: str, generator: torch.Generator) -> None:
    true = torch.randn(2, 3, 4, 8, 8, generator=generator)
    pred = true + 0.1 * torch.randn(true.shape, generator=generator)
    channel_mask = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    valid_mask = (torch.rand(2, 1, 8, 8, generator=generator) > 0.3).float()
    points = scored_points(channel_mask, valid_mask, stride=2)
    noise = 100 * torch.randn(true.shape, generator=generator)
    disturbed = torch.where(points.expand_as(pred) > 0, pred, pred + noise)
    metric = METRICS[name]  # type: ignore[index]
    torch.testing.assert_close(metric(disturbed, true, points), metric(pred, true, points))
    assert (metric(pred, true, points) > 0).all()


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_forecast_that_is_not_finite_scores_inf_and_spares_its_neighbours(
    name: str, bad: float, generator: torch.Generator
) -> None:
    true = torch.randn(2, 3, 1, 4, 4, generator=generator)
    pred = true + 1.0
    pred[1, 2, 0, 0, 0] = bad
    value = METRICS[name](pred, true, _all_points(true))  # type: ignore[index]
    assert torch.isfinite(value[0])
    assert value[1] == torch.inf


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
