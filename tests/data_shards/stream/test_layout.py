"""Laws of the model layout: bilinear grid, mask where the card says, ones beyond."""

import numpy as np
import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout, to_model_layout


def test_at_the_native_resolution_the_fields_are_untouched(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_gas", 1)[0]
    fields, channels, valid = to_model_layout(
        trajectory.fields, trajectory.full_mask, toy_card("toy_gas"), ModelLayout(resolution=16)
    )
    np.testing.assert_array_equal(fields.numpy(), trajectory.fields)
    assert channels.tolist() == [1, 1, 1, 1]
    assert valid.shape == (1, 16, 16)
    assert bool((valid == 1).all())


@pytest.mark.parametrize("resolution", [4, 8, 16, 20])
def test_padded_channels_are_ones_and_unscored(toy_card, toy_trajectories, resolution):
    trajectory = toy_trajectories("toy_flow", 1)[0]
    fields, channels, _ = to_model_layout(
        trajectory.fields,
        trajectory.full_mask,
        toy_card("toy_flow"),
        ModelLayout(resolution=resolution, channels=4),
    )
    assert fields.shape == (14, 4, resolution, resolution)
    assert fields.dtype == torch.float32
    assert channels.tolist() == [1, 0, 0, 0]
    assert bool((fields[:, 1:] == 1).all())
    assert float(fields[:, 0].std()) > 0.1


@pytest.mark.parametrize("resolution", [8, 16])
def test_the_obstacle_mask_follows_the_fields_and_is_not_scored(
    toy_card, toy_trajectories, resolution
):
    trajectory = toy_trajectories("toy_solid")[2]
    fields, channels, valid = to_model_layout(
        trajectory.fields,
        trajectory.full_mask,
        toy_card("toy_solid"),
        ModelLayout(resolution=resolution),
    )
    assert channels.tolist() == [1, 1, 0, 0]
    assert bool((fields[:, 2] == fields[0, 2]).all())  # the same in every frame
    assert bool((fields[:, 3] == 1).all())
    factor = resolution // 8
    # Whole cells are refined: a solid cell's children lie nearer to it than to its neighbours.
    fine = np.kron(trajectory.full_mask, np.ones((factor, factor)))
    np.testing.assert_array_equal(valid[0].numpy(), fine)
    assert bool(((fields[0, 2] >= 0.5) == (valid[0] == 1)).all())


@pytest.mark.parametrize("resolution", [8, 16, 31])
def test_a_linear_field_stays_linear_away_from_the_edges(toy_card, resolution):
    # Cell centres at (i + 1/2) / n: the convention of align_corners=False.
    coarse = (np.arange(8) + 0.5) / 8
    field = np.broadcast_to(coarse[:, None] + 2 * coarse, (14, 1, 8, 8)).astype(np.float32)
    fields, *_ = to_model_layout(
        field, np.ones((8, 8)), toy_card("toy_flow"), ModelLayout(resolution=resolution)
    )
    fine = (np.arange(resolution) + 0.5) / resolution
    inside = (fine >= coarse[0]) & (fine <= coarse[-1])
    expected = (fine[:, None] + 2 * fine)[np.ix_(inside, inside)]
    # Float32 round-off of a value of order one.
    np.testing.assert_allclose(fields[0, 0].numpy()[np.ix_(inside, inside)], expected, atol=1e-6)


def test_halving_the_grid_averages_two_by_two_cells(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_flow", 1)[0]
    fields, *_ = to_model_layout(
        trajectory.fields, trajectory.full_mask, toy_card("toy_flow"), ModelLayout(resolution=4)
    )
    means = trajectory.fields.reshape(14, 1, 4, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(fields[:, :1].numpy(), means, atol=1e-6)  # float32 round-off


def test_the_shard_itself_is_never_written_to(toy_folder):
    corpus = ShardedCorpus.open(toy_folder, "toy_gas", "train")
    before = corpus.window(0, 0, 12).copy()
    fields, *_ = to_model_layout(
        corpus.window(0, 0, 12), corpus.mask(0), corpus.card, ModelLayout(resolution=16)
    )
    fields.zero_()
    np.testing.assert_array_equal(corpus.window(0, 0, 12), before)


def test_more_channels_than_the_model_takes_are_refused(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_solid", 1)[0]
    with pytest.raises(
        UserError, match="2 channels and an obstacle mask, the model takes 2; raise"
    ):
        to_model_layout(
            trajectory.fields,
            trajectory.full_mask,
            toy_card("toy_solid"),
            ModelLayout(resolution=8, channels=2),
        )


def test_fields_of_another_corpus_are_refused(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_gas", 1)[0]
    with pytest.raises(UserError, match=r"fields are \(12, 4, 16, 16\), wanted \(T, 1, H, W\)"):
        to_model_layout(
            trajectory.fields,
            trajectory.full_mask,
            toy_card("toy_flow"),
            ModelLayout(resolution=8),
        )
