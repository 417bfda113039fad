"""Laws of `foundation shards show`: pictures of everything there, true to its values."""

import numpy as np
import pytest
from PIL import Image
from shards_console import console, refused_by_parser

from data_shards.card import Channel, CorpusCard
from data_shards.errors import UserError
from data_shards.pictures import volume
from data_shards.pictures.animation import animate
from data_shards.pictures.sheet import draw_sheet
from data_shards.pictures.view import scale_of, view_of
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from data_shards.trajectory import Trajectory


def trajectory_of(grid, toy_card, *, frames=12, channels=2, mask=None, seed=3):
    """Noise on a grid of any dimension, with the card that it fits."""
    card: CorpusCard = toy_card("toy_flow").model_copy(
        update={
            "name": "drawn",
            "native_grid": grid,
            "frames": frames,
            "channels": tuple(Channel(name=f"c{i}", unit="m/s") for i in range(channels)),
        }
    )
    shape = (frames, channels, *grid)
    fields = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    extent = (0.0, 2.0, 0.0, 1.0) if len(grid) == 2 else (0.0, 1.0, 0.0, 1.0, 0.0, 1.0)
    return Trajectory(fields, "drawn", 4, seed, 0.5, extent, {}, {"speed": 1.25}, mask), card


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


GRIDS = {"a plane": (6, 9), "a line": (1, 16), "a box": (4, 6, 8)}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("frames", [1, 2, 12])
def test_every_dimension_has_a_sheet_and_an_animation(tmp_path, toy_card, grid, frames):
    trajectory, card = trajectory_of(grid, toy_card, frames=frames)
    draw_sheet(trajectory, card, tmp_path / "a.png")
    animate(trajectory, card, tmp_path / "a.gif")
    assert pixels(tmp_path / "a.png").shape[1] > 200
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == frames


def test_of_a_box_the_middle_slice_is_drawn(toy_card):
    trajectory, card = trajectory_of((4, 6, 8), toy_card)
    np.testing.assert_array_equal(view_of(trajectory, card).frames, trajectory.fields[:, :, 2])


def test_obstacles_are_not_drawn_and_do_not_stretch_the_colours(toy_card):
    mask = np.ones((6, 9), np.float32)
    mask[2, 3] = 0
    trajectory, card = trajectory_of((6, 9), toy_card, mask=mask)
    trajectory.fields[:, :, 2, 3] = 1e6
    view = view_of(trajectory, card)
    assert np.isnan(view.frames[:, :, 2, 3]).all()
    assert np.isnan(view.frames).sum() == view.frames.shape[0] * view.frames.shape[1]
    assert max(scale.high for scale in view.scales) < 10


def test_an_obstacle_is_grey_in_the_picture(tmp_path, toy_card):
    mask = np.zeros((6, 9), np.float32)
    mask[:, :2] = 1
    for name, solid in {"with": mask, "without": None}.items():
        trajectory, card = trajectory_of((6, 9), toy_card, mask=solid)
        draw_sheet(trajectory, card, tmp_path / f"{name}.png")
    grey = {
        name: int((pixels(tmp_path / f"{name}.png") == 153).all(-1).sum())
        for name in ("with", "without")
    }
    assert grey["with"] > 10_000 > 100 > grey["without"]


@pytest.mark.parametrize(
    ("values", "colours"),
    [
        (np.linspace(-1, 1, 500), "RdBu_r"),
        (np.linspace(-1, 0.3, 500), "RdBu_r"),
        (np.linspace(0, 1, 500), "viridis"),
        (np.linspace(-0.01, 1, 500), "viridis"),  # an overshoot makes no signed field
        (np.linspace(-3, -2, 500), "viridis"),
    ],
)
def test_signed_fields_are_drawn_around_zero_and_others_over_their_range(values, colours):
    scale = scale_of(values)
    assert scale.colours == colours
    if colours == "RdBu_r":
        assert scale.low == -scale.high
    assert scale.low < scale.high


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5e9, 1e-30, np.nan])
def test_a_constant_or_nothing_at_all_still_has_colours(value):
    scale = scale_of(np.full(10, value))
    assert np.isfinite([scale.low, scale.high]).all()
    assert scale.low < scale.high


def test_a_few_outliers_do_not_take_the_colours_and_are_announced():
    values = np.linspace(0, 1, 10_000)
    values[0] = 1e4
    scale = scale_of(values)
    assert scale.high < 1.1
    assert scale.extend in ("max", "both")
    assert scale_of(np.zeros(3)).extend == "neither"


def test_frames_are_left_out_until_an_animation_is_small_enough(tmp_path, toy_card):
    trajectory, card = trajectory_of((24, 32), toy_card, frames=24)
    animate(trajectory, card, tmp_path / "whole.gif")
    size = (tmp_path / "whole.gif").stat().st_size
    animate(trajectory, card, tmp_path / "small.gif", max_bytes=size // 3)
    assert (tmp_path / "small.gif").stat().st_size <= size // 3
    with Image.open(tmp_path / "small.gif") as animation:
        assert 2 <= animation.n_frames < 24


def test_a_sheet_and_an_animation_of_every_corpus(tmp_path, toy_folder, capsys):
    console("show", toy_folder, "--output", tmp_path / "new" / "pictures")
    names = {path.name for path in (tmp_path / "new" / "pictures").iterdir()}
    corpora = ("toy_flow", "toy_gas", "toy_solid")
    assert names == {f"{c}-train-000000.{kind}" for c in corpora for kind in ("png", "gif")}
    assert "toy_gas-train-000000.png" in capsys.readouterr().out


def test_corpora_split_and_number_are_chosen(tmp_path, own_folder, write_toy, toy_trajectories):
    write_toy(own_folder, "toy_gas")
    write_toy(own_folder, "toy_flow", split="test")
    order = ("show", own_folder, "--no-animation", "--output")
    console(*order, tmp_path / "a", "--corpus", "toy_flow")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["toy_flow-test-000000.png"]
    console(*order, tmp_path / "b", "--corpus", "toy_flow", "--split", "train", "--index", 6)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["toy_flow-train-000006.png"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--corpus", "toy_flw"), "did you mean 'toy_flow'"),
        (("--corpus", "toy_flow", "nothing"), "unknown corpus 'nothing'"),
        (("--split", "test"), "unknown split of toy_flow 'test'"),
        (("--index", 7), "has 7 trajectories, 0 to 6; wanted number 7"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_drawn(
    tmp_path, own_folder, extra, message
):
    with pytest.raises(UserError, match=message):
        console("show", own_folder, "--output", tmp_path / "out", *extra)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_in_one_line(own_folder):
    (own_folder / "file").write_text("")
    with pytest.raises(UserError, match="cannot write pictures there"):
        console("show", own_folder, "--output", own_folder / "file")


def test_a_number_that_cannot_be_is_refused_by_the_parser(own_folder, capsys):
    for value in ("-1", "x"):
        order = ("show", own_folder, "--output", own_folder, "--index", value)
        assert "--index" in refused_by_parser(capsys, *order)


def test_a_written_line_and_box_are_drawn_from_their_shards(tmp_path, toy_card):
    for grid in ((1, 16), (4, 6, 8)):
        trajectory, card = trajectory_of(grid, toy_card, frames=14)
        write_corpus(
            lambda first, made=trajectory: [made],
            card,
            split="test",
            out=tmp_path / "shards",
            count=1,
            provenance=Provenance(producer="random", version=1, seed=3),
        )
        console("show", tmp_path / "shards", "--output", tmp_path / "out")
        assert (tmp_path / "out" / "drawn-test-000000.gif").stat().st_size > 1000
        picture = tmp_path / "out" / "drawn-test-000000-volume.png"
        assert picture.exists() == (len(grid) == 3)


def test_a_steady_state_has_a_sheet_and_no_animation(tmp_path, toy_card):
    trajectory, card = trajectory_of((6, 9), toy_card, frames=1)
    steady = card.model_copy(update={"context_frames": 1, "rollout_frames": 0})
    write_corpus(
        lambda first: [trajectory],
        steady,
        split="test",
        out=tmp_path / "shards",
        count=1,
        provenance=Provenance(producer="random", version=1, seed=3),
    )
    console("show", tmp_path / "shards", "--output", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drawn-test-000000.png"]


@pytest.mark.parametrize("surfaces", [True, False])
@pytest.mark.parametrize("solid", [True, False])
def test_a_box_is_drawn_in_slices_and_in_surfaces_where_they_can_be(
    tmp_path, toy_card, monkeypatch, surfaces, solid
):
    if surfaces:
        pytest.importorskip("skimage")
    monkeypatch.setattr(volume, "can_draw_surfaces", lambda: surfaces)
    mask = np.ones((10, 12, 14), np.float32)
    mask[3:6, 4:8, 5:9] = 0
    trajectory, card = trajectory_of(
        (10, 12, 14), toy_card, frames=1, channels=3, mask=mask if solid else None
    )
    card = card.model_copy(update={"staggered": {"c0": "x", "c1": "y", "c2": "z"}})
    volume.draw_volume(trajectory, card, tmp_path / "a.png")
    drawn = pixels(tmp_path / "a.png")
    assert (drawn.shape[1] > 1300) == surfaces  # they stand beside the slices
    assert ((drawn == 153).all(-1).sum() > 10_000) == solid  # grey in the slices
    if surfaces:
        beside = drawn[:, int(0.7 * drawn.shape[1]) :]
        assert ((beside[..., 0] > 120) & (beside[..., 1:].max(axis=-1) < 60)).sum() > 1000


def test_vortices_are_where_rotation_outweighs_strain(toy_card):
    """Q of a rigid rotation at rate 1 about z is 1, that of a pure strain is negative."""
    trajectory, _ = trajectory_of((8, 8, 8), toy_card)
    place = (np.arange(8) + 0.5) / 8
    x, y = place[None, None, :] + np.zeros((8, 8, 8)), place[None, :, None] + np.zeros((8, 8, 8))
    still = np.zeros((8, 8, 8))
    rotation = volume._second_invariant([-y, x, still], trajectory)
    np.testing.assert_allclose(rotation, 1.0)
    strain = volume._second_invariant([x, -y, still], trajectory)
    np.testing.assert_allclose(strain, -1.0)
