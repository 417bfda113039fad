"""Law: a file that is damaged, incomplete or of another corpus is refused by one clear line."""

import contextlib
import io
import zlib

import h5py
import numpy as np
import pytest
from published_files import (
    COLUMNS,
    FRAMES,
    ROWS,
    numbered,
    small_card,
    write_cns,
    write_dr,
    write_mat5,
    write_mat73,
    write_swe,
)

from data_shards.card import CorpusCard
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.formats import matlab
from data_shards.read import open_raw
from data_shards.read.raw import narrowed, raw_files, split_range

SPLITS = {"train": (0, 3), "test": (-2, None)}
WRITERS = {
    "fno_ns_1e-3": write_mat73,
    "fno_ns_1e-5": write_mat5,
    "pdebench_cns_m0.1": write_cns,
    "pdebench_swe": write_swe,
    "pdebench_dr": write_dr,
}


@pytest.fixture
def file_of(tmp_path):
    """(name) -> card and a small published file of it."""

    def make(name):
        card = small_card(name, SPLITS)
        path = tmp_path / card.published.files[0].name
        WRITERS[name](path, 6)
        return card, path

    return make


def read_all(card: CorpusCard, path, split="train"):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


def refusal(card, path, split="train"):
    with pytest.raises(UserError) as caught:
        read_all(card, path, split)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("keep", [0, 1, 100, 0.3, 0.9])
def test_a_file_cut_anywhere_is_refused(file_of, name, keep):
    card, path = file_of(name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else keep])
    refusal(card, path)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; fetch it again"),
        (b"<!DOCTYPE html><html><body>Virus scan warning</body></html>", "it is a web page"),
        (b"PK\x03\x04" + bytes(600), "it is packed; unpack it first"),
        (b"not at all" * 100, r"it begins with b'not at a'"),
    ],
)
def test_what_is_no_such_file_at_all_is_recognised(file_of, name, content, message):
    card, path = file_of(name)
    path.write_bytes(content)
    assert message in refusal(card, path)


def test_packed_bytes_that_changed_on_the_way_are_refused(file_of):
    card, path = file_of("pdebench_dr")
    with h5py.File(path) as file:
        at = file["0001/data"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[at.byte_offset : at.byte_offset + at.size] = b"\xff" * at.size
    path.write_bytes(raw)
    assert "damaged or cut short" in refusal(card, path)


def test_a_packed_variable_of_version_5_that_changed_is_refused(file_of):
    card, path = file_of("fno_ns_1e-5")
    write_mat5(path, 6, compressed=True)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 40] = b"\xff" * 40
    path.write_bytes(raw)
    assert "damaged or cut short" in refusal(card, path)


def without(name):
    def change(file):
        del file[name]

    return change


def replaced(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return change


def attribute(name, value, group="/"):
    return lambda file: file[group].attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("fno_ns_1e-3", without("u"), "no array 'u'; there is a, t"),
        ("fno_ns_1e-3", without("t"), "no array 't'; there is a, u"),
        (
            "fno_ns_1e-3",
            replaced("u", numbered("nxyt", n=6)),
            r"u is float32 (12, 6, 8, 6) as MATLAB sees it",
        ),
        (
            "fno_ns_1e-3",
            replaced("t", 0.5 * np.arange(FRAMES, dtype="f8")),
            "frames are 0.5 apart, those of fno_ns_1e-3 1; choose the card",
        ),
        (
            "fno_ns_1e-3",
            replaced("t", np.arange(FRAMES, dtype="f8") ** 2),
            "in steps of 1 to 21; wanted equal steps forwards",
        ),
        ("fno_ns_1e-3", replaced("t", np.arange(4.0)), "4 times for the 12 frames"),
        (
            "pdebench_cns_m0.1",
            without("Vy"),
            "/Vy: no such dataset; there is Vx, density, pressure",
        ),
        (
            "pdebench_cns_m0.1",
            replaced("Vy", numbered("ntyx", n=6)),
            r"channels are (6, 12, 6, 8), (6, 12, 8, 6)",
        ),
        (
            "pdebench_cns_m0.1",
            replaced("Vy", numbered("ntxy", n=5)),
            r"channels are (5, 12, 8, 6), (6, 12, 8, 6)",
        ),
        (
            "pdebench_cns_m0.1",
            replaced("density", numbered("txy")),
            r"wanted floating-point numbers over (N, T, x, y)",
        ),
        (
            "pdebench_cns_m0.1",
            replaced("pressure", np.zeros((6, FRAMES, COLUMNS, ROWS), int)),
            "int64",
        ),
        (
            "pdebench_cns_m0.1",
            attribute("M", 1.0),
            "mach is 1, that of pdebench_cns_m0.1 lies in [0.1, 0.1]; choose the card",
        ),
        ("pdebench_cns_m0.1", attribute("eta", "thick"), "eta is 'thick'; wanted a number"),
        (
            "pdebench_cns_m0.1",
            replaced("x-coordinate", np.linspace(-1, 1, COLUMNS)),
            "that of pdebench_cns_m0.1 from 0 to 1; choose the card",
        ),
        (
            "pdebench_cns_m0.1",
            replaced("y-coordinate", np.linspace(0, 1, ROWS)[::-1].copy()),
            "wanted the centres of equal cells, in rising order",
        ),
        ("pdebench_swe", without("0001/data"), "/0001/data: no such dataset; there is grid"),
        (
            "pdebench_swe",
            without("0001/grid/y"),
            "/0001/grid/y: no such dataset; there is t, x",
        ),
        ("pdebench_swe", without("0001/grid"), "/0001/grid/t: no such dataset; there is data"),
        ("pdebench_swe", without("0001"), "holds no group 0001, but later ones"),
        ("pdebench_swe", without("0000"), "holds no group 0000, but later ones"),
        ("pdebench_swe", replaced("0001", np.zeros(3)), "0001 is no group"),
        (
            "pdebench_swe",
            replaced("0001/data", numbered("txyc", c=2)),
            r"/0001/data is (12, 8, 6, 2), those of pdebench_swe are (12, 8, 6, 1)",
        ),
        (
            "pdebench_dr",
            replaced("0002/data", numbered("txyc", c=2)),
            r"/0002/data is (12, 8, 6, 2), those of pdebench_dr are (12, 6, 8, 2)",
        ),
        ("pdebench_dr", attribute("config", "sim: [1", "0000"), "no YAML with an entry `sim`"),
        ("pdebench_dr", attribute("config", "other: 1", "0000"), "no YAML with an entry `sim`"),
        (
            "pdebench_dr",
            attribute("config", "sim: {Du: 1E-1}", "0000"),
            "diffusion_u is 0.1, that of pdebench_dr lies in [0.001, 0.001]",
        ),
    ],
)
def test_what_is_missing_or_of_another_corpus_is_named(file_of, name, change, message):
    card, path = file_of(name)
    with h5py.File(path, "r+") as file:
        change(file)
    assert message in refusal(card, path)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_another_grid_is_read_by_a_card_of_ones_own(file_of, name):
    card, path = file_of(name)
    other = card.model_copy(update={"native_grid": (ROWS, 2 * COLUMNS)})
    message = refusal(other, path)
    assert f"edit native_grid and frames on a card of your own (foundation shards info {name}" in (
        message
    )


def test_a_file_without_groups_of_trajectories_says_what_it_holds(file_of):
    card, path = file_of("pdebench_swe")
    write_cns(path, 6)
    assert "no groups named 0000, 0001, ..." in refusal(card, path)


def test_the_viscosity_in_the_name_of_the_file_must_be_the_cards(file_of):
    card, path = file_of("fno_ns_1e-3")
    other = path.rename(path.with_name("ns_V1e-4_N10000_T30.mat"))
    assert "viscosity is 0.0001, that of fno_ns_1e-3 lies in [0.001, 0.001]" in refusal(card, other)


def test_a_file_whose_name_does_not_prove_the_viscosity_says_so(file_of):
    card, path = file_of("fno_ns_1e-3")
    for named, count in ((path, 0), (path.with_name("mine.mat"), 1)):
        path.rename(named)
        corpus = open_raw(card, "train", named)
        corpus.close()
        assert len(corpus.notes) == count
        path = named
    assert "mine.mat: the name does not say the viscosity" in corpus.notes[0]


def test_a_gas_without_attributes_is_known_by_the_name_of_its_file(file_of):
    card, path = file_of("pdebench_cns_m0.1")
    with h5py.File(path, "r+") as file:
        file.attrs.clear()
    other = "2D_CFD_Rand_M1.0_Eta1e-08_Zeta1e-08_periodic_512_Train.hdf5"
    for name, parameter in ((other, "mach is 1,"), ("gas_M0.1_Eta0.1_Zeta0.01.h5", "eta is 0.1,")):
        path = path.rename(path.with_name(name))
        assert parameter in refusal(card, path)
    for name, unsaid in ((card.published.files[0].name, ()), ("mine_M0.1_x.h5", ("eta, zeta",))):
        path = path.rename(path.with_name(name))
        assert read_all(card, path)[0].parameters["mach"] == 0.1
        corpus = open_raw(card, "train", path)
        corpus.close()
        assert len(corpus.notes) == len(unsaid)
        for note, names in zip(corpus.notes, unsaid, strict=True):
            assert f"say {names}; that it is {card.name} is taken on trust" in note


def test_a_missing_file_says_where_it_is_published(tmp_path):
    card = small_card("pdebench_swe", SPLITS)
    assert "published at https://doi.org/10.18419/darus-2986" in refusal(card, tmp_path / "none")
    assert "holds no 2D_rdb_NA_NA.h5" in refusal(card, tmp_path)


def test_a_corpus_of_several_files_wants_their_folder(tmp_path):
    card = load_card("pdebench_swe")
    (file,) = card.published.files
    files = (file, file.model_copy(update={"name": "second.h5"}))
    published = card.published.model_copy(update={"files": files})
    path = tmp_path / "second.h5"
    path.touch()
    with pytest.raises(UserError, match=r"has 2 files .*; give the folder"):
        raw_files(card.model_copy(update={"published": published}), path)


@pytest.mark.parametrize("name", WRITERS)
def test_a_solid_grid_is_not_for_readers_of_planes(file_of, name):
    card, path = file_of(name)
    card = card.model_copy(update={"native_grid": (4, 6, 8)})
    with pytest.raises(UserError, match=r"native_grid=\[4, 6, 8\], its reader .* reads planes"):
        read_all(card, path)


@pytest.mark.parametrize("name", WRITERS)
def test_changed_bytes_are_read_or_refused_but_never_break_the_reader(file_of, rng, name):
    card, path = file_of(name)
    whole = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 6000), size=3):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):
            read_all(card, path)


def test_a_card_without_file_names_wants_the_file_itself(file_of):
    card, path = file_of("pdebench_swe")
    published = card.published.model_copy(update={"files": ()})
    card = card.model_copy(update={"published": published})
    with pytest.raises(UserError, match=r"names 0 files, .* reads one; give the file itself"):
        open_raw(card, "train", path.parent)
    assert len(read_all(card, path)) == 3


def test_a_variable_that_unpacks_without_end_is_stopped(file_of, monkeypatch):
    card, path = file_of("fno_ns_1e-5")
    zeros = zlib.compress(bytes(5 << 20))
    tag = np.array([15, len(zeros)], "<u4").tobytes()
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + tag + zeros)
    monkeypatch.setattr(matlab, "LARGEST_BYTES", 1 << 20)
    assert "compressed data do not end" in refusal(card, path)


def test_no_room_to_unpack_a_variable_says_where(file_of, monkeypatch):
    card, path = file_of("fno_ns_1e-5")
    write_mat5(path, 6, compressed=True)

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(matlab.tempfile, "TemporaryFile", Full)
    assert "No space left on device); set TMPDIR" in refusal(card, path)


def test_a_corpus_that_publishes_nothing_says_how_to_make_it(tmp_path):
    card = load_card("pdebench_swe").model_copy(update={"published": None})
    with pytest.raises(UserError, match="foundation shards generate pdebench_swe"):
        open_raw(card, "train", tmp_path)


def with_splits(**splits):
    return small_card("pdebench_swe", splits)


@pytest.mark.parametrize(
    ("bounds", "numbers"),
    [
        ((0, 4), range(4)),
        ((None, 4), range(4)),
        ((2, None), range(2, 10)),
        ((-3, None), range(7, 10)),
        ((-3, -1), range(7, 9)),
        ((2, -5), range(2, 5)),
        ((None, None), range(10)),
    ],
)
def test_a_split_is_the_slice_of_the_file(tmp_path, bounds, numbers):
    assert split_range(with_splits(train=bounds), "train", 10, tmp_path) == numbers
    assert list(numbers) == list(range(10))[slice(*bounds)]


@pytest.mark.parametrize("bounds", [(0, 11), (10, None), (-11, None), (4, 4), (8, -5), (-2, -4)])
def test_a_split_that_a_file_is_too_short_for_is_never_quietly_another_one(tmp_path, bounds):
    with pytest.raises(UserError, match="holds 10 trajectories, the train split"):
        split_range(with_splits(train=bounds), "train", 10, tmp_path)


def test_a_file_too_short_to_keep_splits_apart_is_refused(tmp_path):
    card = with_splits(train=(0, 1000), test=(-200, None))
    assert split_range(card, "test", 1200, tmp_path) == range(1000, 1200)
    with pytest.raises(UserError, match=r"test split \[-200:\] .* share some with the train split"):
        split_range(card, "test", 1100, tmp_path)


def test_a_split_that_is_not_published_is_named_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match="no validation split, only: train, test"):
        split_range(with_splits(train=(0, 2), test=(2, 3)), "validation", 10, tmp_path)


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 50])
@pytest.mark.parametrize("bounds", [(0, 9), (None, None), (2, None), (-4, None), (-4, -1), (2, -1)])
def test_a_limit_leaves_a_split_of_the_same_first_trajectories(tmp_path, bounds, limit):
    card = narrowed(with_splits(train=bounds), "train", limit)
    assert split_range(card, "train", 10, tmp_path)[:limit] == range(10)[slice(*bounds)][:limit]


def test_a_limit_is_all_that_is_asked_of_a_short_file(tmp_path):
    card = narrowed(with_splits(train=(2, 9000), test=(9800, None)), "train", 5)
    assert split_range(card, "train", 10, tmp_path) == range(2, 7)
