"""Laws of the model layout: bilinear grid, mask where the card says, ones beyond."""

import numpy as np
import pytest
import torch
from laid_out import laid_out

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout, placed_by_name, placement_of, square


def test_at_the_native_resolution_the_fields_are_untouched(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_gas", 1)[0]
    fields, channels, valid = laid_out(
        trajectory.fields, trajectory.full_mask, toy_card("toy_gas"), square(16)
    )
    np.testing.assert_array_equal(fields.numpy(), trajectory.fields)
    assert channels.tolist() == [1, 1, 1, 1]
    assert valid.shape == (1, 16, 16)
    assert bool((valid == 1).all())


@pytest.mark.parametrize("resolution", [4, 8, 16, 20])
def test_padded_channels_are_ones_and_unscored(toy_card, toy_trajectories, resolution):
    trajectory = toy_trajectories("toy_flow", 1)[0]
    fields, channels, _ = laid_out(
        trajectory.fields,
        trajectory.full_mask,
        toy_card("toy_flow"),
        square(resolution, 4),
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
    fields, channels, valid = laid_out(
        trajectory.fields,
        trajectory.full_mask,
        toy_card("toy_solid"),
        square(resolution),
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
    fields, *_ = laid_out(field, np.ones((8, 8)), toy_card("toy_flow"), square(resolution))
    fine = (np.arange(resolution) + 0.5) / resolution
    inside = (fine >= coarse[0]) & (fine <= coarse[-1])
    expected = (fine[:, None] + 2 * fine)[np.ix_(inside, inside)]
    # Float32 round-off of a value of order one.
    np.testing.assert_allclose(fields[0, 0].numpy()[np.ix_(inside, inside)], expected, atol=1e-6)


def test_halving_the_grid_averages_two_by_two_cells(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_flow", 1)[0]
    fields, *_ = laid_out(trajectory.fields, trajectory.full_mask, toy_card("toy_flow"), square(4))
    means = trajectory.fields.reshape(14, 1, 4, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(fields[:, :1].numpy(), means, atol=1e-6)  # float32 round-off


def test_the_shard_itself_is_never_written_to(toy_folder):
    corpus = ShardedCorpus.open(toy_folder, "toy_gas", "train")
    before = corpus.window(0, 0, 12).copy()
    fields, *_ = laid_out(corpus.window(0, 0, 12), corpus.mask(0), corpus.card, square(16))
    fields.zero_()
    np.testing.assert_array_equal(corpus.window(0, 0, 12), before)


def test_more_channels_than_the_model_takes_are_refused(toy_card, toy_trajectories):
    trajectory = toy_trajectories("toy_solid", 1)[0]
    with pytest.raises(
        UserError, match="2 channels and an obstacle mask, the model takes 2; raise"
    ):
        laid_out(
            trajectory.fields,
            trajectory.full_mask,
            toy_card("toy_solid"),
            square(8, 2),
        )


SLOTS = ("source", "k11", "k22", "k12", "v1", "v2", "omega")
COEFFICIENTS = {
    "elliptic_poisson": {"k11": 0.02, "k22": 0.03, "k12": 0.004},
    "elliptic_helmholtz": {"diffusion": 0.01, "omega": 7.0},
}


def steady(name: str, slots: tuple[str, ...], rng: np.random.Generator) -> torch.Tensor:
    """One steady problem (C, 8, 8) in a layout of named channels."""
    fields = rng.standard_normal((1, 2, 8, 8)).astype(np.float32)
    layout = ModelLayout(grid=(8, 8), channels=len(slots), asked_channels=1, slots=slots)
    given, asked, _ = laid_out(
        fields, np.ones((8, 8), np.float32), load_card(name), layout, COEFFICIENTS[name]
    )
    assert asked.tolist() == [1]
    np.testing.assert_array_equal(given[0, slots.index("source")], fields[0, 0])
    return given[0]


def test_coefficients_that_an_equation_lacks_are_zero_in_a_layout_by_name(rng):
    given = steady("elliptic_poisson", SLOTS, rng)
    values = [float(given[i].unique()) for i in range(1, 7)]
    assert values == pytest.approx([0.02, 0.03, 0.004, 0, 0, 0])


def test_a_scalar_diffusion_is_a_multiple_of_the_identity_among_tensors(rng):
    given = steady("elliptic_helmholtz", SLOTS, rng)
    values = [float(given[i].unique()) for i in range(1, 7)]
    assert values == pytest.approx([0.01, 0.01, 0, 0, 0, 7])
    alone = steady("elliptic_helmholtz", ("source", "diffusion", "omega"), rng)
    assert [float(alone[i].unique()) for i in (1, 2)] == pytest.approx([0.01, 7])


def test_the_order_of_slots_is_the_models(rng):
    turned = ("k12", "source", "k11", "k22")
    given = steady("elliptic_poisson", turned, rng)
    assert float(given[0].unique()) == pytest.approx(0.004)
    assert float(given[2].unique()) == pytest.approx(0.02)


def test_an_equation_with_a_coefficient_that_has_no_slot_is_refused(rng):
    with pytest.raises(UserError, match=r"gives omega, for which the model has no slot"):
        steady("elliptic_helmholtz", ("source", "k11", "k22", "k12"), rng)


def test_half_of_a_scalar_diffusion_is_refused(rng):
    with pytest.raises(UserError, match=r"gives diffusion as k22, for which the model has no slot"):
        steady("elliptic_helmholtz", ("source", "k11", "k12", "omega"), rng)
    given = steady("elliptic_helmholtz", ("source", "k11", "diffusion", "omega"), rng)
    assert [float(given[i].unique()) for i in (1, 2)] == pytest.approx([0.01, 0.01])


def test_a_slot_for_the_mask_is_all_fluid_where_there_is_no_obstacle(rng):
    given = steady("elliptic_poisson", ("source", "k11", "k22", "k12", "mask", "omega"), rng)
    assert [float(given[i].unique()) for i in (4, 5)] == [1, 0]
    layout = ModelLayout(grid=(8, 8), channels=3, slots=("source", "mask", "k11"))
    places = placed_by_name(["source"], ["k11"], layout).given
    assert (places.mask, places.rest) == (1, ())
    assert placed_by_name(["source", "mask"], [], layout).given.mask is None  # it is a field there


def test_states_are_never_resampled():
    card = load_card("fno_ns_1e-3").model_copy(update={"axis": "states", "native_grid": (1, 8)})
    assert placement_of(card, ModelLayout(grid=(1, 8))).num_asked == 1
    with pytest.raises(UserError, match="states are not resampled"):
        placement_of(card, ModelLayout(grid=(1, 16)))


def test_a_steady_window_asks_the_frames_that_it_gives():
    card = load_card("elliptic_poisson")
    assert card.window_frames(1, 1) == 1
    assert load_card("pdebench_swe").window_frames(10, 2) == 12
    with pytest.raises(UserError, match="take as many"):
        card.window_frames(1, 2)
