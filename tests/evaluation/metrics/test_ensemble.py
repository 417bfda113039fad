"""Laws of scores of ensembles: closed forms of Gaussians, pairs counted one by one, fairness."""

from math import pi, sqrt

import pytest
import torch
from torch import Tensor

from evaluation.metrics.ensemble import crps, crps_at_points, spread_skill


def _gaussian_crps(mean: float, deviation: float, truth: Tensor) -> Tensor:
    """Closed form of a normal forecast (Gneiting & Raftery 2007)."""
    z = (truth - mean) / deviation
    density = torch.exp(-z.square() / 2) / sqrt(2 * pi)
    below = torch.special.ndtr(z)
    return deviation * (z * (2 * below - 1) + 2 * density - 1 / sqrt(pi))


@pytest.mark.parametrize("count", [2, 5, 50])
def test_the_score_of_normal_members_is_the_closed_form_whatever_their_number(
    count: int, generator: torch.Generator
) -> None:
    truth = torch.tensor([-1.5, 0.2, 3.0], dtype=torch.float64)
    draws = torch.randn(count, 40_000, 3, generator=generator, dtype=torch.float64)
    found = crps_at_points(0.3 + 1.7 * draws, truth).mean(0)
    # 1.7 / sqrt(40000) is .0085: four standard errors of a mean of 40000 draws.
    torch.testing.assert_close(found, _gaussian_crps(0.3, 1.7, truth), atol=0.035, rtol=0)


def test_sorting_counts_every_pair_once(generator: torch.Generator) -> None:
    members = torch.randn(7, 2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    true = torch.randn(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    pairs = (members[:, None] - members[None]).abs().sum((0, 1)) / (7 * 6)
    wanted = (members - true).abs().mean(0) - pairs / 2
    torch.testing.assert_close(crps_at_points(members, true), wanted)


def test_one_member_scores_its_mean_error_relative_to_the_truth() -> None:
    true = torch.full((1, 2, 1, 4, 4), 2.0)
    points = torch.ones(1, 1, 1, 4, 4)
    assert crps((true + 0.5)[None], true, points).item() == pytest.approx(0.25)
    points[..., :2, :] = 0  # where nothing counts nothing is wrong
    spoiled = true.clone()
    spoiled[..., :2, :] += 9
    assert crps(spoiled[None], true, points).item() == 0


def test_spread_equals_skill_where_the_truth_is_drawn_as_the_members_are(
    generator: torch.Generator,
) -> None:
    drawn = torch.randn(6, 1, 1, 2, 200, 200, generator=generator)
    points = torch.ones(1, 1, 2, 200, 200)
    # 80000 points: a ratio of variances to a few parts in a thousand.
    assert spread_skill(drawn[1:], drawn[0], points).item() == pytest.approx(1, abs=0.02)
    assert spread_skill(drawn[1:] / 2, drawn[0], points).item() < 0.6


def test_a_member_that_diverges_makes_the_score_infinite() -> None:
    members = torch.zeros(3, 1, 1, 1, 4, 4)
    members[1, ..., 0, 0] = torch.nan
    true, points = torch.ones(1, 1, 1, 4, 4), torch.ones(1, 1, 1, 4, 4)
    assert crps(members, true, points).isinf().all()
    assert spread_skill(members, true, points).isinf().all()
