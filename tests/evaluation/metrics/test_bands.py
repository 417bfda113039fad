"""Laws of bands: the guarantee on exchangeable trajectories, and scores that cannot be cheated."""

import pytest
import torch

from data_shards.errors import UserError
from evaluation.metrics.bands import band_width, coverage, interval_score, scale_of
from evaluation.metrics.conformal import conformal_factor, least_trajectories


@pytest.mark.parametrize(("known", "level"), [(9, 0.9), (14, 0.9), (30, 0.9), (19, 0.5)])
def test_the_next_score_lies_below_the_factor_as_often_as_its_rank_says(
    known: int, level: float, generator: torch.Generator
) -> None:
    # Whatever the distribution: a new score falls below the k-th of N with probability k / (N + 1).
    draws = torch.rand(known + 1, 1, 20_000, generator=generator).double().log().neg() ** 3
    factor = conformal_factor(draws[:-1], level)
    rank = -(-round(level * (known + 1) * 1000) // 1000)
    found = (draws[-1, 0] <= factor).double().mean().item()
    assert level <= rank / (known + 1) <= level + 1 / (known + 1)
    assert found == pytest.approx(rank / (known + 1), abs=0.01)  # 4 standard errors of 20000


def test_points_of_a_trajectory_may_be_as_dependent_as_they_like(
    generator: torch.Generator,
) -> None:
    # Each trajectory has an error of its own, which all of its 50 points share but for a little.
    shared = torch.rand(41, 1, 2000, generator=generator).double()
    scores = shared + 0.05 * torch.rand(41, 50, 2000, generator=generator).double()
    factor = conformal_factor(scores[:-1], 0.9)
    found = (scores[-1] <= factor).double().mean().item()
    # Between the level and the level + 1 / 41, with 4 standard errors of 2000 trajectories.
    assert 0.9 - 0.027 < found < 0.925 + 0.027


def test_points_that_do_not_count_carry_no_weight(generator: torch.Generator) -> None:
    scores = torch.rand(20, 30, generator=generator)
    holes = scores.clone()
    holes = torch.cat([holes, torch.full((20, 10), torch.nan)], dim=1)
    assert conformal_factor(holes, 0.8) == conformal_factor(scores, 0.8)


def test_too_few_trajectories_are_refused_and_diverged_ones_widen_without_end() -> None:
    assert [least_trajectories(level) for level in (0.5, 0.9, 0.95)] == [1, 9, 19]
    with pytest.raises(UserError, match="need 9 or more"):
        conformal_factor(torch.rand(8, 5), 0.9)
    scores = torch.ones(9, 5)
    scores[3] = torch.inf
    assert conformal_factor(scores, 0.9).item() == torch.inf


def test_a_band_covers_the_share_that_lies_within() -> None:
    true = torch.arange(16.0).view(1, 1, 1, 4, 4) - 8
    points = torch.ones(1, 1, 1, 4, 4)
    pred, half = torch.zeros_like(true), torch.full_like(true, 4.0)
    assert coverage(pred, half, true, points).item() == 9 / 16
    size = true.square().mean().sqrt().item()
    assert band_width(pred, half, true, points).item() == pytest.approx(8 / size)
    outside = (true.abs() - 4).clamp_min(0).mean().item()
    found = interval_score(pred, half, true, points, 0.9).item()
    assert found == pytest.approx((8 + 20 * outside) / size, rel=1e-5)


def test_the_band_of_its_level_scores_best(generator: torch.Generator) -> None:
    true = torch.randn(1, 1, 1, 300, 300, generator=generator)
    points, pred = torch.ones(1, 1, 1, 300, 300), torch.zeros_like(true)
    halves = [1.0, 1.3, 1.645, 2.0, 2.4]  # 1.645 deviations hold 90 % of a normal variable
    scores = [interval_score(pred, torch.full_like(true, h), true, points, 0.9) for h in halves]
    assert min(range(5), key=lambda i: scores[i].item()) == 2


def test_scales_are_spread_of_members_or_deviation_in_space() -> None:
    pred = torch.tensor([[0.0, 2.0], [0.0, 2.0]]).view(1, 1, 1, 2, 2)
    points = torch.ones(1, 1, 1, 2, 2)
    torch.testing.assert_close(scale_of(pred, None, points), torch.ones_like(pred))
    members = torch.stack([pred - 3, pred + 3])
    # Two members 6 apart: a variance of 18 everywhere, so that both halves of the scale agree.
    wanted = torch.full_like(pred, 18**0.5)
    torch.testing.assert_close(scale_of(pred, members, points), wanted)
