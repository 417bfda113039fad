"""The temporal aggregation against its formula."""

import pytest
import torch

from foundation.nn.temporal import TemporalAggregation


@pytest.mark.parametrize("phases", [True, False])
def test_sum_of_phased_frames_is_the_published_formula(generator, phases):
    layer = TemporalAggregation(4, 6, phases)
    layer.reset(generator)
    x = torch.randn(2, 4, 3, 3, 6, generator=generator)
    expected = torch.zeros(2, 3, 3, 6)
    for t, time in enumerate(torch.linspace(0, 1, 4)):
        frame = x[:, t] * torch.cos(layer.gamma * time) if phases else x[:, t]
        expected += frame @ layer.weight[t]
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-6)


def test_phases_start_over_twenty_octaves(generator):
    layer = TemporalAggregation(4, 21, phases=True)
    layer.reset(generator)
    torch.testing.assert_close(layer.gamma.detach().log2(), torch.arange(-10.0, 11.0))
