"""Laws of the PDEArena reader: x before y in the files, many files one list, time from `dt`."""

import h5py
import numpy as np
import pytest
from published_files import COLUMNS, ROWS, WEIGHTS, numbered

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw, sequence

FRAMES = 14
LENGTHS = {"t": FRAMES, "y": ROWS, "x": COLUMNS}
WORDS = {"train": "train", "validation": "valid", "test": "test"}


def small(name, **changes):
    return load_card(name).model_copy(update={"native_grid": (ROWS, COLUMNS), **changes})


def write(path, group, count, first=0, *, frames=FRAMES, buoyancy=0.5, dt=6.0):
    """A file as the published generator writes it: float64, (N, T, x, y), wall to wall."""
    with h5py.File(path, "w") as file:
        data = file.create_group(group)
        for name, channel in {"vx": 0, "vy": 1, "u": 2}.items():
            values = numbered("ntxy", channel, n=count, **{**LENGTHS, "t": frames})
            data[name] = values.astype("f8") + WEIGHTS["n"] * first
        for name, cells in {"x": COLUMNS, "y": ROWS}.items():
            data[name] = np.tile(np.linspace(0, 32, cells), (count, 1))
            data[f"d{name}"] = np.full(count, 32 / (cells - 1))
        data["t"] = np.tile(np.linspace(12, 96, frames), (count, 1))
        data["dt"] = np.full(count, dt)
        data["buo_y"] = np.linspace(buoyancy, buoyancy + 0.01 * (count - 1), count)


def expected(number):
    return numbered("tcyx", c=3, **LENGTHS) + WEIGHTS["n"] * number


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


@pytest.fixture
def folder(tmp_path):
    for split, word in WORDS.items():
        for seed, first in ((500, 2), (61991, 5), (97473, 9)):  # sorted by name, not by number
            count = {500: 3, 61991: 4, 97473: 1}[seed]
            tail = "_100" if split == "train" else ""
            path = tmp_path / f"NavierStokes2D_{word}_{seed}_0.50000{tail}.h5"
            write(path, word, count, first, buoyancy=0.5)
            with h5py.File(path, "a") as file:
                file[word]["buo_y"][...] = 0.5
    return tmp_path


@pytest.mark.parametrize("split", WORDS)
def test_many_files_are_one_list_of_fields_with_rows_and_columns(folder, split):
    trajectories = read_all(small("pdearena_ns"), split, folder)
    assert [t.index for t in trajectories] == list(range(8))
    for trajectory, number in zip(trajectories, [2, 3, 4, 5, 6, 7, 8, 9], strict=True):
        np.testing.assert_array_equal(trajectory.fields, expected(number))
        assert trajectory.fields.dtype == np.float32
        assert (trajectory.dt_s, trajectory.seed) == (6.0, -1)
        assert trajectory.extent == (0.0, 32.0, 0.0, 32.0)
        assert trajectory.parameters == {"buoyancy": 0.5, "viscosity": 0.01}


def test_channels_come_in_the_cards_order(folder):
    card = small("pdearena_ns")
    turned = card.model_copy(update={"channels": card.channels[::-1]})
    trajectory = read_all(turned, "test", folder)[0]
    np.testing.assert_array_equal(trajectory.fields, expected(2)[:, ::-1])


def test_conditioned_files_have_their_own_buoyancy_and_step(tmp_path):
    write(tmp_path / "NavierStokes2D_train_7_0.38774_32.h5", "train", 3, frames=56,
          buoyancy=0.38774, dt=1.5)  # fmt: skip
    trajectories = read_all(small("pdearena_ns_cond"), "train", tmp_path)
    found = [trajectory.parameters["buoyancy"] for trajectory in trajectories]
    assert found == pytest.approx([0.38774, 0.39774, 0.40774])
    assert {trajectory.dt_s for trajectory in trajectories} == {1.5}
    assert trajectories[0].fields.shape == (56, 3, ROWS, COLUMNS)


def test_one_file_of_any_name_is_the_split_itself(folder):
    source = folder / "NavierStokes2D_test_61991_0.50000.h5"
    renamed = source.rename(folder / "mine.h5")
    assert [t.index for t in read_all(small("pdearena_ns"), "test", renamed)] == [0, 1, 2, 3]


def test_without_an_extent_on_the_card_the_files_walls_are_taken(folder):
    trajectory = read_all(small("pdearena_ns", extent=None), "test", folder)[0]
    assert trajectory.extent == (0.0, 32.0, 0.0, 32.0)


def test_no_more_than_one_file_is_open_at_a_time(folder, monkeypatch):
    opened = []

    def open_and_count(path, original=sequence.open_hdf5):
        assert not any(opened)  # a closed file is false
        opened.append(original(path))
        return opened[-1]

    monkeypatch.setattr(sequence, "open_hdf5", open_and_count)
    read_all(small("pdearena_ns"), "train", folder)
    assert len(opened) == 6  # three to count, three to read
    assert not any(opened)


def refusal(path, split="train", name="pdearena_ns"):
    with pytest.raises(UserError) as caught:
        read_all(small(name), split, path)
    return str(caught.value)


FILE = "NavierStokes2D_train_500_0.50000_100.h5"


def test_a_pointer_of_git_lfs_in_place_of_a_file_is_refused_by_name(folder):
    # One file of the published conditioned set is one: 96 bytes.
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (folder / FILE).write_text(pointer)
    message = refusal(folder)
    assert f"{FILE}: not an HDF5 file" in message


def test_a_file_cut_short_is_refused_by_name(folder):
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[: len(whole) // 2])
    assert f"{FILE}: damaged or cut short" in refusal(folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda g: g.__delitem__("vy"), "/train/vy: no such dataset"),
        (lambda g: g.__delitem__("dt"), "/train/dt: no such dataset"),
        (lambda g: g["dt"].__setitem__(0, -1.0), "dt of sample 0 is -1.0"),
        (lambda g: g["dt"].__setitem__(1, np.nan), "dt of sample 1 is nan"),
        (lambda g: g["buo_y"].__setitem__(0, 0.2), "buoyancy is 0.2"),
        (lambda g: g["x"].__setitem__((0, 3), 31.0), "coordinate x"),
        (lambda g: g.move("u", "smoke"), "/train/u: no such dataset"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(folder, damage, says):
    with h5py.File(folder / FILE, "a") as file:
        damage(file["train"])
    message = refusal(folder)
    assert says in message
    assert FILE in message


def test_swapped_axes_are_refused_while_grids_are_not_square(folder):
    with h5py.File(folder / FILE, "a") as file:
        turned = file["train"]["vx"][()].swapaxes(2, 3)
        del file["train"]["vx"]
        file["train"]["vx"] = turned
    assert f"(N, T, x, y) with (T, x, y) = (14, {COLUMNS}, {ROWS})" in refusal(folder)


def test_the_card_of_the_conditioned_files_does_not_fit_the_others(folder):
    assert "choose the card" in refusal(folder, name="pdearena_ns_cond")


def test_a_file_of_another_split_is_refused(folder):
    assert "has no group 'test', there is train" in refusal(folder / FILE, "test")


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_files_is_refused(tmp_path, name):
    message = refusal(tmp_path / name)
    assert "no such file or folder" in message or "holds no NavierStokes2D_train_*.h5" in message


def test_a_channel_without_a_dataset_is_refused(folder):
    card = small("pdearena_ns")
    options = {"channels": {"vx": "vx"}}
    published = card.published.model_copy(update={"options": options})
    with pytest.raises(UserError, match="channels say no dataset for vy, density"):
        open_raw(card.model_copy(update={"published": published}), "train", folder)
