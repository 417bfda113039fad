"""Training, the harness, `Surrogate` and reports on a user's file show a model the same batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout, resize, resize_mask
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig
from data_shards.stream.windows import load_windows
from evaluation.harness.forecaster import open_forecaster
from evaluation.simulation.on_model_grid import OnModelGrid
from evaluation.simulation.page.samples import sample_simulation
from foundation import Surrogate


@pytest.fixture
def flow(shards: Path) -> ShardedCorpus:
    """Flow around an obstacle, at half of the model's resolution."""
    return ShardedCorpus.open(shards, "cfdbench", "test")


def given_by_harness(flow: ShardedCorpus, layout: ModelLayout) -> torch.Tensor:
    return load_windows(flow, [1], layout, context_frames=10, target_frames=4).given


def test_a_forecast_by_hand_is_the_harnesss_around_an_obstacle_on_a_finer_grid(checkpoint, flow):
    model = Surrogate.from_pretrained(checkpoint)
    layout = model.config.layout
    assert layout.grid == (2 * flow.resolution, 2 * flow.resolution)
    fluid = resize_mask(flow.mask(1), layout.grid)
    assert ((fluid > 0) & (fluid < 1)).any()  # else zeros and ones would pass for shares
    batch = load_windows(flow, [1], layout, context_frames=10, target_frames=4)
    judged = open_forecaster(str(checkpoint), torch.device("cpu")).forecast(batch, 4)
    context = resize(flow.window(1, 0, 10), layout.grid)[None]
    assert torch.equal(model.forecast(context, 4, fluid), judged[:, :, :2])


def test_the_stream_shows_in_training_what_the_harness_shows_in_judgement(checkpoint, flow):
    layout = Surrogate.from_pretrained(checkpoint).config.layout
    stream = SampleStream([flow], StreamConfig(mixture=MixtureConfig(seed=0)), layout)
    batch = next(stream.batches(0, 3))
    for row, key in enumerate(batch.keys):
        number, start = key.removeprefix("cfdbench/test-").split("@")
        window = load_windows(
            flow, [int(number)], layout, context_frames=10, target_frames=1, start=int(start)
        )
        assert torch.equal(batch.given[row], window.given[0])
        assert torch.equal(batch.asked[row], window.asked[0])
        assert batch.origins[row] == window.origins[0]


def test_routes_and_reports_on_a_sample_see_that_batch_too(checkpoint, flow):
    model = Surrogate.from_pretrained(checkpoint)
    given = given_by_harness(flow, model.config.layout)
    placed = OnModelGrid(model, sample_simulation(flow, 1, model))
    seen = model.batch_of(placed.contexts([0]), placed.fluid)
    np.testing.assert_array_equal(seen.given.numpy(), given.numpy())
    valid = load_windows(flow, [1], model.config.layout, context_frames=10, target_frames=0)
    assert torch.equal(seen.valid_mask, valid.valid_mask)
