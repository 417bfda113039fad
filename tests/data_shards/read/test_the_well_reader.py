"""Laws of The Well's reader: components as channels, (x, y[, z]) turned, sides by their masks."""

import re

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from well_files import CELLS, FRAMES, boundary, ends, expected, field, numbered, write_well

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw
from data_shards.read.the_well import draft_card
from data_shards.read.well_file import WellFile

GRID = (CELLS["y"], CELLS["x"])
SINGLE = 1e-6  # coordinates are float32 up to 2
NUMBERS = {  # channel: its number in the files' values
    "density": 0, "c": 1, "velocity_x": 2, "velocity_y": 3, "D_xx": 5, "D_xy": 6, "D_yy": 8
}  # fmt: skip


def toy(channels=tuple(NUMBERS), frames=FRAMES, grid=GRID, **changes):
    settings = {
        "dt_s": None,
        "extent": None,
        "boundary": None,
        "parameters": {"tcool": (0.0, 9.0), "gamma": (1.0, 2.0)},
        **changes,
    }
    return bare_card("toy", "the_well", channels, frames, grid, **settings)


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


@pytest.fixture
def root(tmp_path):
    """A data set: two files to train on, one file for each of the others."""
    write_well(tmp_path / "data/train/toy_a.hdf5", 3, first=0)
    write_well(tmp_path / "data/train/toy_b.hdf5", 2, first=3)
    write_well(tmp_path / "data/valid/toy_a.hdf5", 1, first=5)
    write_well(tmp_path / "data/test/toy_a.hdf5", 2, first=6)
    (tmp_path / "stats.yaml").write_text("mean: {}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("split", "first", "count"), [("train", 0, 5), ("validation", 5, 1), ("test", 6, 2)]
)
def test_every_component_is_a_channel_over_rows_and_columns(root, split, first, count):
    for path in (root, root / "data"):
        trajectories = read_all(toy(), split, path)
        assert [t.index for t in trajectories] == list(range(count))
        for number, trajectory in enumerate(trajectories, first):
            assert trajectory.fields.shape == (FRAMES, 7, *GRID)
            for channel, code in enumerate(NUMBERS.values()):
                axes = "yx" if code == 1 else "tyx"  # c is constant in time
                wanted = np.broadcast_to(expected(number, code, axes), (FRAMES, *GRID))
                np.testing.assert_array_equal(trajectory.fields[:, channel], wanted)


def test_time_domain_sides_and_parameters_are_the_files(root):
    first, last = (read_all(toy(), "train", root)[number] for number in (0, 4))
    assert first.dt_s == pytest.approx(0.25)
    assert first.extent == pytest.approx((0.0, 2.0, 0.0, 2.0), abs=SINGLE)
    assert first.boundary == {
        "left": "periodic", "right": "periodic", "bottom": "wall", "top": "open"
    }  # fmt: skip
    assert first.parameters == pytest.approx({"tcool": 0.1, "gamma": 5 / 3})
    assert last.parameters == pytest.approx({"tcool": 0.4, "gamma": 5 / 3})


def test_the_card_picks_and_orders_channels(root):
    trajectory = read_all(toy(("velocity_y", "density")), "train", root)[1]
    np.testing.assert_array_equal(trajectory.fields[:, 0], expected(1, 3))
    np.testing.assert_array_equal(trajectory.fields[:, 1], expected(1, 0))


def test_three_dimensions_are_slices_rows_and_columns(tmp_path):
    path = write_well(tmp_path / "data/train/a.hdf5", 2, axes="xyz")
    grid = (CELLS["z"], *GRID)
    names = ("density", "c", "velocity_z", "D_xz", "D_zz")
    with h5py.File(path) as file:
        offered = [component.name for component in WellFile(file, path).components()]
    tensor = ["D_xx", "D_xy", "D_xz", "D_yy", "D_yz", "D_zz"]
    assert offered == ["density", "c", "velocity_x", "velocity_y", "velocity_z", *tensor]
    trajectory = read_all(toy(names, grid=grid), "train", tmp_path)[1]
    assert trajectory.fields.shape == (FRAMES, 5, *grid)
    for channel, code in enumerate((0, 1, 4, 7, 13)):
        axes = "zyx" if code == 1 else "tzyx"
        wanted = np.broadcast_to(expected(1, code, axes), (FRAMES, *grid))
        np.testing.assert_array_equal(trajectory.fields[:, channel], wanted)
    assert trajectory.extent == pytest.approx((0.0, 2.0) * 3, abs=SINGLE)
    assert {side: trajectory.boundary[side] for side in ("front", "back")} == {
        "front": "open", "back": "open"
    }  # fmt: skip


def test_coordinates_in_another_order_are_put_right(tmp_path):
    write_well(tmp_path / "a.hdf5", 1, axes="yx")
    trajectory = read_all(toy(("density", "velocity_y")), "train", tmp_path)[0]
    np.testing.assert_array_equal(trajectory.fields[:, 0], expected(0, 0))
    np.testing.assert_array_equal(trajectory.fields[:, 1], expected(0, 2))  # y is the first here


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("axes", "sample", "time", "dims"),
    [
        ("ntx", True, True, [True, False]),
        ("nty", True, True, [False, True]),
        ("tx", False, True, [True, False]),
        ("y", False, False, [False, True]),
        ("xy", False, False, [True, True]),
        ("", False, False, [False, False]),
    ],
)
def test_axes_along_which_a_field_is_constant_are_filled(tmp_path, axes, sample, time, dims, kept):
    """The format leaves such axes out; files that keep them with length 1 are read as well."""
    path = write_well(tmp_path / "a.hdf5", 3)
    values = numbered(axes, 9, n=3) if axes else np.float32(7)
    with h5py.File(path, "a") as file:
        if kept:
            missing = [axis for axis in "xy" if axis not in axes]
            lead = len(axes) - sum(axis in axes for axis in "xy")
            for axis in missing:
                values = np.expand_dims(values, lead + "xy".index(axis))
        field(file["t0_fields"], "c", values, "xy", sample_varying=sample, time_varying=time,
              dims=dims)  # fmt: skip
    trajectory = read_all(toy(("c",)), "train", tmp_path)[2]
    everywhere = np.indices((FRAMES, *GRID))
    weights = {"t": 20_000, "y": 20, "x": 1}
    wanted = sum(weights[a] * p for a, p in zip("tyx", everywhere, strict=True) if a in axes)
    wanted = wanted + (18_000 + 2_000_000 * ("n" in axes) if axes else 7)
    np.testing.assert_array_equal(trajectory.fields[:, 0], np.broadcast_to(wanted, (5, *GRID)))


def test_antisymmetric_tensors_have_only_the_entries_above_the_diagonal(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 1)
    with h5py.File(path, "a") as file:
        file["t2_fields/D"].attrs.update(symmetric=False, antisymmetric=True)
    assert draft_card(tmp_path, "toy").channel_names[-1:] == ("D_xy",)
    with h5py.File(path, "a") as file:
        file["t2_fields/D"].attrs.update(symmetric=False, antisymmetric=False)
    assert draft_card(tmp_path, "toy").channel_names[-4:] == ("D_xx", "D_xy", "D_yx", "D_yy")


def test_falling_coordinates_are_turned_round(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 1)
    with h5py.File(path, "a") as file:
        file["dimensions/y"][...] = file["dimensions/y"][()][::-1]
    trajectory = read_all(toy(("density",)), "train", tmp_path)[0]
    np.testing.assert_array_equal(trajectory.fields[:, 0], expected(0, 0)[:, ::-1])
    assert trajectory.extent == pytest.approx((0.0, 2.0, 0.0, 2.0), abs=SINGLE)
    assert (trajectory.boundary["bottom"], trajectory.boundary["top"]) == ("open", "wall")


def test_a_wall_holds_only_where_all_of_a_side_is_one(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 1)
    mask = np.zeros((CELLS["x"], CELLS["y"]), bool)
    mask[:, -1] = True  # all of the top
    mask[0, :2] = True  # some of the left
    with h5py.File(path, "a") as file:
        conditions = file["boundary_conditions"]
        for name in list(conditions):
            del conditions[name]
        boundary(conditions, "walls", "WALL", ["x", "y"], mask)
    found = read_all(toy(("density",)), "train", tmp_path)[0].boundary
    assert found == {"left": "open", "right": "open", "bottom": "open", "top": "wall"}


def test_a_dimension_that_stands_alone_and_masks_per_sample_are_understood(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 2)
    with h5py.File(path, "a") as file:
        conditions = file["boundary_conditions"]
        del conditions["y_wall"]
        masks = np.stack([ends("xy", "y", low=low) for low in (True, False)])
        boundary(conditions, "y_wall", "WALL", "y", masks)
        conditions["y_wall"].attrs["sample_varying"] = True
    found = [t.boundary["bottom"] for t in read_all(toy(("density",)), "train", tmp_path)]
    assert found == ["wall", "open"]


def test_scalars_may_vary_with_the_sample_or_stand_in_an_array_of_one(tmp_path):
    scalars = {"Re": np.array([10.0, 20.0, 30.0]), "one": np.array([4.0]), "tcool": np.array(2.0)}
    write_well(tmp_path / "a.hdf5", 3, scalars=scalars)
    card = toy(("density",), parameters=dict.fromkeys(("Re", "one"), (0.0, 99.0)))
    found = [trajectory.parameters for trajectory in read_all(card, "train", tmp_path)]
    assert found == [{"Re": value, "one": 4.0} for value in (10.0, 20.0, 30.0)]


def test_long_trajectories_are_cut_into_pieces_if_asked_for(tmp_path):
    write_well(tmp_path / "a.hdf5", 2, frames=11)
    card = toy(("density", "c"), frames=4, options={"segments": True})
    trajectories = read_all(card, "train", tmp_path)
    assert [t.index for t in trajectories] == [0, 1, 2, 3]  # two samples, two pieces, three left
    for number, trajectory in enumerate(trajectories):
        sample, piece = divmod(number, 2)
        whole = expected(sample, 0, t=11)
        np.testing.assert_array_equal(trajectory.fields[:, 0], whole[4 * piece : 4 * piece + 4])
        assert trajectory.dt_s == pytest.approx(0.25)


def test_blocks_of_frames_give_the_same_fields(root, monkeypatch):
    whole = read_all(toy(), "train", root)
    monkeypatch.setattr("data_shards.read.well_file.BLOCK_BYTES", 2 * 4 * GRID[0] * GRID[1])
    for one, two in zip(whole, read_all(toy(), "train", root), strict=True):
        np.testing.assert_array_equal(one.fields, two.fields)


def test_a_drafted_card_reads_what_it_was_drafted_from(root):
    write_well(root / "data/train/toy_b.hdf5", 2, first=3, scalars={"Re": np.array([5.0, 7.0])})
    card = draft_card(root, "my_flow")
    assert card.name == "my_flow"
    assert card.channel_names == tuple(NUMBERS)
    assert {channel.unit for channel in card.channels} == {"unknown"}
    assert (card.frames, card.native_grid) == (FRAMES, GRID)
    assert card.dt_s == pytest.approx(0.25)
    assert card.extent == pytest.approx((0.0, 2.0, 0.0, 2.0), abs=SINGLE)
    assert card.boundary == {
        "left": "periodic", "right": "periodic", "bottom": "wall", "top": "open"
    }  # fmt: skip
    assert card.splits == {"train": 5, "validation": 1, "test": 2}
    ranges = {name: (r.low, r.high) for name, r in card.parameters.items()}
    assert ranges == {
        "gamma": pytest.approx((5 / 3, 5 / 3)),
        "tcool": pytest.approx((0.1, 0.7)),
        "Re": (5.0, 7.0),
    }
    assert (card.context_frames, card.rollout_frames) == (4, 1)
    for split, count in card.splits.items():
        assert len(read_all(card, split, root)) == count


def test_a_drafted_card_leaves_open_what_differs_between_files(root):
    path = write_well(root / "data/train/toy_b.hdf5", 2, first=3)
    with h5py.File(path, "a") as file:
        file["dimensions/time"][...] *= 2
        file["dimensions/x"][...] *= 3
        del file["boundary_conditions/y_wall"]
    card = draft_card(root, "my_flow")
    assert (card.dt_s, card.extent, card.boundary) == (None, None, None)
    found = read_all(card, "train", root)
    assert {round(trajectory.dt_s, 6) for trajectory in found} == {0.25, 0.5}


def test_files_of_different_sets_are_not_drafted_together(root):
    write_well(root / "data/test/other.hdf5", 1, frames=9)
    with pytest.raises(UserError, match="not one data set"):
        draft_card(root, "my_flow")


def without_differences(file):
    """All samples share their fields, and there are said to be very many of them."""
    for name in ("t0_fields/density", "t0_fields/c", "t1_fields/velocity", "t2_fields/D"):
        values, attributes = file[name][0], dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes | {"sample_varying": False})
    file.attrs["n_trajectories"] = 10**12


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: f.attrs.__setitem__("n_trajectories", 10**12), "density is (1, 5, 8, 6)"),
        (lambda f: f.attrs.__setitem__("n_trajectories", -3), "wanted 1 or more"),
        (without_differences, "no field differs between them"),
        (lambda f: f["dimensions/time"].__setitem__(slice(None), 1.0), "dt_s: Input should be"),
    ],
)
def test_no_card_is_drafted_of_what_a_file_only_claims(tmp_path, damage, says):
    with h5py.File(write_well(tmp_path / "a.hdf5", 1), "a") as file:
        damage(file)
    with pytest.raises(UserError, match=re.escape(says)):
        draft_card(tmp_path, "my_flow")


def test_cells_of_unequal_size_are_taken_only_if_asked_for(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 1)
    with h5py.File(path, "a") as file:
        file["dimensions/y"][...] = np.array([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    with pytest.raises(UserError, match="unequal_cells: true"):
        read_all(toy(("density",)), "train", tmp_path)
    card = toy(("density",), options={"unequal_cells": True})
    assert read_all(card, "train", tmp_path)[0].extent[2:] == (-0.5, 17.5)
    assert draft_card(tmp_path, "x").published.options == {"unequal_cells": True}


@pytest.mark.parametrize(
    ("name", "frames", "channels"),
    [("well_turbulent_radiative_layer_2d", 101, 4), ("well_gray_scott", 1001, 2)],
)
def test_the_cards_of_the_wells_sets_are_of_its_reader(name, frames, channels):
    card = load_card(name)
    assert (card.frames, len(card.channels)) == (frames, channels)
    assert card.published.reader == "the_well"
    assert card.generator is None
    # Columns first in the files: [384, 128] rows and columns are 128 x 384 there.
    assert card.native_grid in ((384, 128), (128, 128))


def refusal(path, card=None):
    with pytest.raises(UserError) as caught:
        read_all(card or toy(), "train", path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: f["t0_fields"].__delitem__("density"), "no dataset 't0_fields/density'"),
        (lambda f: f.__delitem__("dimensions"), "no group 'dimensions'"),
        (lambda f: f["dimensions"].__delitem__("y"), "no dataset 'dimensions/y'"),
        (lambda f: f["dimensions"].attrs.clear(), "no attribute 'spatial_dims'"),
        (lambda f: f.attrs.__delitem__("n_trajectories"), "no attribute 'n_trajectories'"),
        (lambda f: f.attrs.__setitem__("n_trajectories", 4), "density is (3, 5, 8, 6)"),
        (lambda f: f["t0_fields"].attrs.__setitem__("field_names", ["c"]), "has no density"),
        (lambda f: f["t0_fields/density"].attrs.__setitem__("dim_varying", [True]), "dim_varying"),
        (lambda f: f["dimensions/time"].__setitem__(2, 0.4), "wanted equal steps"),
        (lambda f: f["dimensions/x"].__setitem__(2, np.nan), "wanted one finite axis"),
        (lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("bc_type", "leaky"),
         "boundary x_periodic is 'leaky'"),
        (lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("associated_dims", ["w"]),
         "a boundary is on 'w'"),
        (lambda f: f["boundary_conditions/x_periodic"].__delitem__("mask"), "no dataset"),
        (lambda f: f["scalars"].__delitem__("tcool"), "no dataset 'scalars/tcool'"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_keep_to_the_format_is_refused(tmp_path, damage, says):
    path = write_well(tmp_path / "a.hdf5", 3)
    with h5py.File(path, "a") as file:
        damage(file)
    message = refusal(tmp_path)
    assert says in message
    assert "a.hdf5" in message


def test_swapped_axes_are_refused_while_grids_are_not_square(tmp_path):
    path = write_well(tmp_path / "a.hdf5", 1)
    with h5py.File(path, "a") as file:
        turned = file["t0_fields/density"][()].swapaxes(2, 3)
        field(file["t0_fields"], "density", turned, "xy")
    assert "its attributes and the dimensions say (1, 5, 8, 6)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (toy(frames=4), "set segments: true"),
        (toy(frames=6), "has 5 frames of (6, 8), toy 6 of (6, 8)"),
        (toy(grid=GRID[::-1]), "choose the card"),
        (toy(("density", "temperature")), "has no temperature of toy, only: density, c"),
        (toy(dt_s=0.3), "frames are 0.25 apart, those of toy 0.3"),
        (toy(extent=(0.0, 3.0, 0.0, 2.0)), "x runs from 0 to 2"),
        (toy(parameters={"tcool": (5.0, 6.0)}), "tcool is 0.1"),
        (toy(options={"segment": True}), "unknown key 'segment'"),
    ],
)
def test_a_file_of_another_set_is_refused(root, card, says):
    assert says in refusal(root, card)


def test_files_cut_short_and_missing_splits_are_refused(root):
    path = root / "data/train/toy_b.hdf5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "toy_b.hdf5: damaged or cut short" in refusal(root)
    assert "holds no data/train/*.hdf5" in refusal(root / "data" / "nothing")
    assert "is the validation split, wanted train" in refusal(root / "data/valid")
