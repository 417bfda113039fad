"""Laws of networks of stacked frames that need no package of others."""

import pytest
import torch
from torch import nn

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from evaluation.foreign import ModelLayout, Units, stacked_frames

LAYOUT = ModelLayout(grid=(4, 6), channels=2)


def batch_of(context: torch.Tensor) -> Batch:
    """Two channels without obstacles."""
    count, _, channels = context.shape[:3]
    grid = context.shape[3:]
    return Batch(
        given=context,
        asked=torch.empty(count, 0, channels, *grid),
        asked_mask=torch.ones(count, channels),
        valid_mask=torch.ones(count, 1, *grid),
        corpus_id=torch.zeros(count, dtype=torch.int64),
        keys=("",) * count,
    )


class Last(nn.Module):
    """The last frame of three, or one of zeros."""

    def __init__(self, zero: bool = False) -> None:
        super().__init__()
        self.zero = zero

    def forward(self, x):
        return torch.zeros_like(x[:, 4:]) if self.zero else x[:, 4:]


@pytest.mark.parametrize("units", [None, "sample", Units([1.0, -2.0], [3.0, 0.5])])
@pytest.mark.parametrize("x_first", [False, True])
def test_the_last_frame_comes_back_in_any_units_and_order(units, x_first, generator):
    context = 5 + torch.randn(3, 3, 2, 4, 6, generator=generator)
    model = stacked_frames(Last(), LAYOUT, context_frames=3, units=units, x_first=x_first)
    future = model.answer(batch_of(context), 4)
    wanted = context[:, -1:].expand(-1, 4, -1, -1, -1)
    torch.testing.assert_close(future, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("units", [None, "sample", Units([1.0, -2.0], [3.0, 0.5])])
def test_increments_of_nothing_change_nothing(units, generator):
    context = torch.randn(3, 3, 2, 4, 6, generator=generator)
    model = stacked_frames(Last(True), LAYOUT, context_frames=3, units=units, increment=True)
    future = model.answer(batch_of(context), 2)
    torch.testing.assert_close(future, context[:, -1:].expand(-1, 2, -1, -1, -1))


def test_answers_scale_with_a_sample_in_its_own_units(generator):
    network = nn.Conv2d(6, 2, 3, padding=1)
    context = torch.randn(2, 3, 2, 4, 6, generator=generator)
    model = stacked_frames(network, LAYOUT, context_frames=3, units="sample")
    with torch.no_grad():
        small, large = (model.answer(batch_of(context * by + by), 2) for by in (1.0, 64.0))
    torch.testing.assert_close(large, small * 64, rtol=1e-4, atol=1e-3)  # float32


def test_a_constant_channel_stays_finite(generator):
    context = torch.randn(2, 3, 2, 4, 6, generator=generator)
    context[:, :, 1] = 7.0
    model = stacked_frames(Last(), LAYOUT, context_frames=3, units="sample")
    torch.testing.assert_close(model.answer(batch_of(context), 1)[:, 0], context[:, -1])


def test_wrong_figures_and_wrong_channels_are_told(generator):
    with pytest.raises(UserError, match="mean has 1 figures for 2 channels"):
        stacked_frames(Last(), LAYOUT, context_frames=3, units=Units([0.0], [1.0, 1.0]))
    model = stacked_frames(nn.Conv2d(6, 3, 1), LAYOUT, context_frames=3)
    with pytest.raises(UserError, match="wanted 2 channels"):
        model.answer(batch_of(torch.randn(1, 3, 2, 4, 6, generator=generator)), 1)
