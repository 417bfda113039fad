"""The temporal aggregation against its formula."""

import pytest
import torch

from foundation.nn.temporal import TemporalAggregation


@pytest.mark.parametrize("phases", [True, False])
def test_sum_of_phased_frames_is_the_published_formula(generator, phases):
    layer = TemporalAggregation(4, 6, phases)
    layer.reset(generator)
    expand = torch.nn.Linear(5, 6)
    position = torch.randn(1, 3, 2, 6, generator=generator)
    features = torch.randn(2, 3, 2, 4, 5, generator=generator)
    expected = torch.zeros(2, 3, 2, 6)
    for t, time in enumerate(torch.linspace(0, 1, 4)):
        frame = expand(features[:, :, :, t]) + position
        if phases:
            frame = frame * torch.cos(layer.gamma * time)
        expected += frame @ layer.weight[t]
    # the same products in another order, float32
    torch.testing.assert_close(layer(features, expand, position), expected, rtol=1e-4, atol=1e-5)


def test_phases_start_over_twenty_octaves(generator):
    layer = TemporalAggregation(4, 21, phases=True)
    layer.reset(generator)
    torch.testing.assert_close(layer.gamma.detach().log2(), torch.arange(-10.0, 11.0))
