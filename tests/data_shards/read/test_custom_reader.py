"""A user's own files as a corpus: what was simulated is what the shards hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from own_files import COLUMNS, FRAMES, ROWS, places, waves, write_arrays, write_waves

from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.simulation_file import read_simulation
from launchers.cli import main


def convert(*words: str) -> int:
    return main(["shards", "convert", *words])


def corpus(folder: Path, name: str = "custom", split: str = "train") -> ShardedCorpus:
    return ShardedCorpus.open(folder, name, split)


@pytest.mark.parametrize("ending", ["h5", "classic.nc", "npz", "npy", "mat"])
def test_files_of_any_format_become_trajectories_bit_for_bit(ending, tmp_path, capsys):
    runs = [waves(), 2 * waves()]
    paths = [write_waves(tmp_path / f"r{n}.{ending}", run) for n, run in enumerate(runs)]
    told = ("--option", "axes=t,c,y,x") if ending == "npy" else ()
    assert convert("custom", "--raw", *map(str, paths), *told, "--out", str(tmp_path / "out")) == 0
    assert not re.search("--(axes|channels|mask|boundary)", capsys.readouterr().err)
    made = corpus(tmp_path / "out")
    assert len(made) == 2
    for number, run in enumerate(runs):
        np.testing.assert_array_equal(made.window(number, 0, FRAMES), run)
    assert made.card.native_grid == (ROWS, COLUMNS)


def test_time_extent_and_sides_are_those_of_the_file(tmp_path):
    path = write_arrays(
        tmp_path / "a.h5", {"u": waves(channels=1)[:, 0], **places()}, boundary="periodic"
    )
    assert convert("wake", "--format", "custom", "--raw", str(path), "--out", str(tmp_path)) == 0
    meta = corpus(tmp_path, "wake").trajectory(0)
    assert meta.dt_s == pytest.approx(0.25)
    assert meta.extent == pytest.approx((0, 2, 0, 1))
    assert set(meta.boundary.values()) == {"periodic"}


def test_runs_along_an_axis_of_samples_are_trajectories_of_their_own(tmp_path):
    runs = np.stack([waves(channels=1)[:, 0] * n for n in (1, 2, 3)])
    path = write_arrays(tmp_path / "runs.npy", {"u": runs})
    words = ("custom", "--raw", str(path), "--option", "axes=s,t,y,x", "--out", str(tmp_path))
    assert convert(*words) == 0
    made = corpus(tmp_path)
    assert len(made) == 3
    np.testing.assert_array_equal(made.window(2, 0, FRAMES)[:, 0], runs[2])


@pytest.mark.parametrize("names", [("run_0/u", "run_1/u", "run_2/u"), ("0", "1", "10")])
def test_runs_in_groups_or_arrays_are_trajectories_of_their_own(names, tmp_path):
    arrays = {name: waves(channels=1)[:, 0] * n for n, name in enumerate(names, 1)}
    path = write_arrays(tmp_path / "runs.h5", arrays | places())
    assert convert("custom", "--raw", str(path), "--out", str(tmp_path)) == 0
    made = corpus(tmp_path)
    assert (len(made), made.card.channel_names) == (3, ("u",))
    for number in range(3):
        np.testing.assert_array_equal(made.window(number, 0, FRAMES)[:, 0], arrays[names[number]])


def test_runs_of_a_line_are_thin_planes(tmp_path):
    lines = np.stack([waves(channels=1)[:, 0, 3] * n for n in range(1, 10)])
    arrays = {"tensor": lines, "t-coordinate": places()["t"], "x-coordinate": places()["x"]}
    path = write_arrays(tmp_path / "1D.h5", arrays)
    assert convert("custom", "--raw", str(path), "--out", str(tmp_path)) == 0
    made = corpus(tmp_path)
    assert (len(made), made.card.native_grid) == (9, (1, COLUMNS))
    assert made.card.boundary["top"] == made.card.boundary["bottom"] == "uniform"
    np.testing.assert_array_equal(made.window(2, 0, FRAMES)[:, 0, 0], lines[2])


def test_all_verbs_read_a_file_alike(tmp_path):
    fields = waves(
        frames=20, channels=4, rows=16, columns=16
    )  # or 4 frames of 20 runs, which no model could use
    path = write_arrays(tmp_path / "a.npy", {"u": fields})
    assert convert("custom", "--raw", str(path), "--out", str(tmp_path)) == 0
    np.testing.assert_array_equal(corpus(tmp_path).window(0, 0, 20), fields)
    np.testing.assert_array_equal(read_simulation(path).fields, fields)


def test_a_time_step_is_in_seconds_where_the_file_tells_its_unit(tmp_path):
    dates = np.datetime64("2024-01-01") + np.arange(FRAMES) * np.timedelta64(6, "h")
    path = write_arrays(tmp_path / "a.npz", {"u": waves(channels=1)[:, 0], "time": dates})
    assert convert("custom", "--raw", str(path), "--out", str(tmp_path)) == 0
    assert corpus(tmp_path).trajectory(0).dt_s == 21600.0


def test_options_name_channels_and_masks_travel_as_a_channel(tmp_path):
    solid = np.ones((ROWS, COLUMNS))
    solid[:3] = 0
    path = write_arrays(tmp_path / "a.npz", {"f": waves(), "mask": solid, **places()})
    words = ("custom", "--raw", str(path), "--option", "channels=u,v", "--out", str(tmp_path))
    assert convert(*words) == 0
    made = corpus(tmp_path)
    assert made.card.channel_names == ("u", "v")
    assert made.card.mask_as_channel
    np.testing.assert_array_equal(made.mask(0), solid)


def test_runs_of_several_lengths_are_cut_to_the_shortest(tmp_path):
    paths = [write_waves(tmp_path / f"{n}.npz", waves(frames=n)) for n in (14, 12)]
    assert convert("custom", "--raw", *map(str, paths), "--out", str(tmp_path / "out")) == 0
    assert corpus(tmp_path / "out").frames == 12


def test_other_files_make_another_split_beside_it(tmp_path):
    paths = [write_waves(tmp_path / f"{n}.npz", n * waves()) for n in (1, 2)]
    out = str(tmp_path / "out")
    for path, split in zip(paths, ("train", "test"), strict=True):
        assert convert("custom", "--raw", str(path), "--split", split, "--out", out) == 0
    entries = read_manifest(tmp_path / "out").entries
    assert sorted(entry.split for entry in entries) == ["test", "train"]
    assert entries[0].fingerprint != entries[1].fingerprint


def test_a_folder_stands_for_its_files_by_name(tmp_path):
    (tmp_path / "raw").mkdir()
    for number in (2, 1):
        write_waves(tmp_path / "raw" / f"{number}.npz", number * waves())
    (tmp_path / "raw" / "notes.txt").write_text("no simulation")
    assert convert("custom", "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")) == 0
    made = corpus(tmp_path / "out")
    np.testing.assert_array_equal(made.window(1, 0, FRAMES), 2 * waves())


def other_grid(folder: Path) -> list[str]:
    paths = [folder / "a.npz", folder / "b.npz"]
    for path, rows in zip(paths, (ROWS, ROWS + 2), strict=True):
        write_waves(path, waves(rows=rows))
    return [str(path) for path in paths]


def pickled(folder: Path) -> list[str]:
    np.save(folder / "a.npy", np.array([{}], object), allow_pickle=True)
    return [str(folder / "a.npy")]


def two_readings(folder: Path) -> list[str]:
    return [str(write_arrays(folder / "a.npy", {"u": waves(channels=1)[:, 0]}))]


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        (other_grid, ("custom",), "not one corpus"),
        (pickled, ("custom",), "holds Python objects"),
        (two_readings, ("custom",), "say which by --option axes=y,x,t (20 frames of 13 x 12) or"),
        (lambda folder: [str(folder / "none.h5")], ("custom",), "no such file"),
        (other_grid, ("pdebench_swe",), "several files are for your own simulations"),
        (other_grid, ("custom", "--option", "axis=t"), "axis"),
        (other_grid, ("../x", "--format", "custom"), "as it becomes part of file names"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(
    tmp_path, capsys, files, words, message
):
    raw = files(tmp_path)
    assert convert(*words, "--raw", *raw, "--out", str(tmp_path / "out")) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert not (tmp_path / "out").exists()
