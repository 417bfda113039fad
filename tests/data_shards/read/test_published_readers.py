"""Law: whatever the order of axes and channels in the file, fields come out as (T, C, y, x)."""

import h5py
import numpy as np
import pytest
from published_files import (
    COLUMNS,
    FRAMES,
    ROWS,
    expected,
    numbered,
    small_card,
    write_cns,
    write_dr,
    write_groups,
    write_mat5,
    write_mat73,
    write_swe,
)
from scipy.io import loadmat, savemat

from data_shards.card import PublishedFile, PublishedFiles
from data_shards.errors import UserError
from data_shards.formats.blocks import SampleBlocks
from data_shards.formats.matlab import open_matlab
from data_shards.read import open_raw

SPLITS = {"train": (0, 3), "test": (-2, None)}
FNO = "ns_V1e-3_N5000_T50.mat"


def fno_card(**changes):
    return small_card("fno_ns_1e-3", SPLITS, **changes)


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


MAT_WRITERS = {
    "7.3": write_mat73,
    "7.3 packed in chunks": lambda path, count: write_mat73(
        path, count, chunks=(5, 6, 3, 2), compression="gzip"
    ),
    "7.3 double": lambda path, count: write_mat73(path, count, dtype="f8"),
    "5": write_mat5,
    "5 packed": lambda path, count: write_mat5(path, count, compressed=True),
    "5 double": lambda path, count: write_mat5(path, count, dtype="f8"),
}


@pytest.mark.parametrize("kind", MAT_WRITERS)
def test_matlab_files_of_both_kinds_give_rows_and_columns(tmp_path, kind):
    MAT_WRITERS[kind](tmp_path / FNO, 7)
    for split, numbers in {"train": range(3), "test": range(5, 7)}.items():
        trajectories = read_all(fno_card(), split, tmp_path)
        assert [trajectory.index for trajectory in trajectories] == list(numbers)
        for trajectory in trajectories:
            np.testing.assert_array_equal(trajectory.fields, expected(trajectory.index))
            assert trajectory.fields.dtype == np.float32
            assert (trajectory.dt_s, trajectory.seed) == (1.0, -1)
            assert trajectory.parameters == {"viscosity": 1e-3, "forcing": 0.1}


def test_the_hdf5_of_matlab_stands_behind_a_block_of_512_bytes(tmp_path):
    write_mat73(tmp_path / FNO, 2)
    raw = (tmp_path / FNO).read_bytes()
    assert raw[:10] == b"MATLAB 7.3"
    assert raw[124:128] == b"\0\x02IM"
    assert raw[512:520] == b"\x89HDF\r\n\x1a\n"


def test_frames_beyond_the_cards_are_left_out(tmp_path):
    write_mat73(tmp_path / FNO, 7, frames=FRAMES + 5)
    trajectory = read_all(fno_card(), "train", tmp_path)[2]
    np.testing.assert_array_equal(trajectory.fields, expected(2))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_mapped_arrays_of_a_version_5_file_are_those_that_scipy_loads(
    tmp_path, rng, compressed
):
    path = tmp_path / "a.mat"
    arrays = {
        "single": rng.normal(size=(5, 4, 3)).astype("f4"),
        "double": rng.normal(size=(2, 3)),
        "column": rng.integers(-9, 9, (7, 1)).astype("i2"),
        "one": np.float64(3.5),
        "text": "no numbers",
        "many": rng.normal(size=(300, 70, 11)),  # more than a piece of the unpacked stream
    }
    savemat(path, arrays, do_compression=compressed)
    theirs, ours = loadmat(path), open_matlab(path)
    assert ours.names() == ["single", "double", "column", "one", "many"]
    for name in ours.names():
        np.testing.assert_array_equal(ours.variable(name)[...].T, theirs[name])
        assert ours.variable(name).dtype == theirs[name].dtype
    ours.close()


def test_a_version_5_file_of_a_big_endian_machine_is_read(tmp_path):
    path = tmp_path / "big.mat"
    numbers = np.arange(6, dtype=">f4").reshape(3, 2)  # MATLAB's (2, 3)

    def element(kind, payload):
        padding = bytes(-len(payload) % 8)
        return np.array([kind, len(payload)], ">u4").tobytes() + payload + padding

    small_name = np.array([1 << 16 | 1], ">u4").tobytes() + b"u\0\0\0"
    matrix = element(6, np.array([7, 0], ">u4").tobytes()) + element(
        5, np.array([2, 3], ">i4").tobytes()
    )
    matrix += small_name + element(7, numbers.tobytes())
    path.write_bytes(b"MATLAB 5.0".ljust(116) + bytes(8) + b"\x01\x00MI" + element(14, matrix))
    file = open_matlab(path)
    np.testing.assert_array_equal(file.variable("u")[...], numbers)
    file.close()
    np.testing.assert_array_equal(loadmat(path)["u"], numbers.T)


@pytest.mark.parametrize("storage", [{}, {"chunks": (3, 5, 4, 3), "compression": "gzip"}])
def test_compressible_files_have_x_before_y_and_channels_in_the_cards_order(tmp_path, storage):
    path = tmp_path / "2D_CFD_Rand_M0.1_Eta0.01_Zeta0.01_periodic_128_Train.hdf5"
    write_cns(path, 7, **storage)
    card = small_card("pdebench_cns_m0.1", SPLITS)
    assert card.channel_names == ("Vx", "Vy", "density", "pressure")
    for split, numbers in {"train": range(3), "test": range(5, 7)}.items():
        for number, trajectory in zip(numbers, read_all(card, split, tmp_path), strict=True):
            np.testing.assert_array_equal(trajectory.fields, expected(number, 4))
            assert trajectory.index == number
            assert trajectory.dt_s == 0.05  # of the card: the file has it in float32
            assert trajectory.extent == (0.0, 1.0, 0.0, 1.0)
            known = {name: trajectory.parameters[name] for name in ("mach", "eta", "zeta")}
            assert known == {"mach": 0.1, "eta": 0.01, "zeta": 0.01}
            assert set(trajectory.parameters) <= set(card.parameters)


@pytest.mark.parametrize(
    ("name", "write", "channels"), [("pdebench_swe", write_swe, 1), ("pdebench_dr", write_dr, 2)]
)
def test_files_of_groups_are_read_in_the_order_of_their_numbers(tmp_path, name, write, channels):
    card = small_card(name, SPLITS)
    write(tmp_path / card.published.files[0].name, 5)
    for split, numbers in {"train": range(3), "test": range(3, 5)}.items():
        for number, trajectory in zip(numbers, read_all(card, split, tmp_path), strict=True):
            np.testing.assert_array_equal(trajectory.fields, expected(number, channels))
            assert trajectory.extent == card.extent
            assert trajectory.dt_s == card.dt_s
            assert trajectory.boundary == card.boundary
            if name == "pdebench_swe":
                assert trajectory.parameters["dam_radius"] == pytest.approx(0.3 + 0.05 * number)
                assert trajectory.parameters["gravity"] == 1.0
            else:
                wanted = {"diffusion_u": 1e-3, "diffusion_v": 5e-3, "reaction_k": 5e-3}
                assert trajectory.parameters == wanted


def sorption_card():
    """Any card of one channel will do; one row makes it one-dimensional."""
    files = PublishedFiles(
        reader="pdebench_groups",
        files=(PublishedFile(name="1D_diff-sorp_NA_NA.h5"),),
        splits=SPLITS,
    )
    card = small_card("pdebench_swe", SPLITS, grid=(1, COLUMNS))
    return card.model_copy(update={"published": files, "extent": None, "dt_s": None})


def test_a_one_dimensional_file_becomes_one_row(tmp_path):
    path = tmp_path / "1D_diff-sorp_NA_NA.h5"
    layout = {"axes": "x", "channels": 1, "domain": (0.0, 1.0), "dt_s": 5.0}
    write_groups(path, 5, settings={"D": 5e-4}, compression="lzf", **layout)
    for number, trajectory in enumerate(read_all(sorption_card(), "train", path)):
        np.testing.assert_array_equal(trajectory.fields, expected(number, rows=1))
        assert trajectory.fields.shape == (FRAMES, 1, 1, COLUMNS)
        assert trajectory.dt_s == pytest.approx(5.0)
        # Edges from float32 centres: a few units in the last place.
        np.testing.assert_allclose(trajectory.extent, (0, 1, 0, 1), atol=1e-6)


def test_settings_kept_at_the_file_instead_of_the_group_are_found(tmp_path):
    card = small_card("pdebench_swe", SPLITS)
    path = tmp_path / card.published.files[0].name
    write_swe(path, 5)
    with h5py.File(path, "r+") as file:
        for name, group in list(file.items()):
            file.attrs[f"{name}/config"] = group.attrs.pop("config")
    assert read_all(card, "train", path)[2].parameters["dam_radius"] == pytest.approx(0.4)


def test_without_settings_only_what_the_card_fixes_is_known(tmp_path):
    card = small_card("pdebench_swe", SPLITS)
    path = tmp_path / card.published.files[0].name
    write_swe(path, 5)
    with h5py.File(path, "r+") as file:
        for group in file.values():
            del group.attrs["config"]
    fixed = {name: r.low for name, r in card.parameters.items() if r.low == r.high}
    assert fixed["gravity"] == 1.0
    assert read_all(card, "train", path)[0].parameters == fixed


@pytest.mark.parametrize("axis", [0, 3])
@pytest.mark.parametrize("chunks", [None, (2, 3, 2, 2)])
@pytest.mark.parametrize("block_bytes", [1, 3 * 12 * 48 * 4, 1 << 30])
def test_blocks_give_every_sample_whatever_their_size(tmp_path, axis, chunks, block_bytes):
    array = numbered("ntxy" if axis == 0 else "txyn", n=7)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", data=array, chunks=chunks)
        blocks = SampleBlocks(data, axis, range(1, 6), block_bytes)
        for number in (1, 2, 3, 5, 4, 1):  # forwards, and back again
            np.testing.assert_array_equal(blocks.sample(number), array.take(number, axis))


def test_a_block_never_exceeds_its_bound_and_chunks_are_read_once(tmp_path):
    class Counted:
        """Remembers how much was read at once."""

        def __init__(self, data):
            self.shape, self.dtype, self.chunks = data.shape, data.dtype, data.chunks
            self._data, self.reads = data, []

        def __getitem__(self, key):
            self.reads.append((key[-1].start, key[-1].stop))
            return self._data[key]

    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = numbered("txyn", n=11)
        counted = Counted(file.create_dataset("a", data=array, chunks=(2, 8, 6, 4)))
        sample_bytes = FRAMES * ROWS * COLUMNS * 4
        blocks = SampleBlocks(counted, -1, range(11), 4 * sample_bytes)
        for number in range(11):
            blocks.sample(number)
        assert counted.reads == [(0, 4), (4, 8), (8, 11)]


def test_a_reader_that_no_one_knows_is_named_with_those_that_are(tmp_path):
    card = fno_card()
    published = card.published.model_copy(update={"reader": "fno_matlap"})
    with pytest.raises(UserError, match=r"fno_matlap.*did you mean 'fno_matlab'"):
        open_raw(card.model_copy(update={"published": published}), "train", tmp_path)
