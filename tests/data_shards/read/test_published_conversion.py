"""Laws of the conversion: every value arrives, stopped work goes on, faults leave nothing."""

import hashlib
import multiprocessing
import os
import signal
from contextlib import closing

import h5py
import numpy as np
import pytest
from published_files import (
    expected,
    small_card,
    write_cns,
    write_dr,
    write_mat5,
    write_mat73,
    write_swe,
)
from torch import from_numpy
from torch.nn.functional import interpolate

from data_shards.errors import UserError
from data_shards.read import READERS, open_raw
from data_shards.read.convert import convert
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.shards.verify import verify
from data_shards.trajectory import Trajectory

SPLITS = {"train": (0, 5), "test": (-2, None)}
CORPORA = {
    "fno_ns_1e-3": write_mat73,
    "fno_ns_1e-5": write_mat5,
    "pdebench_cns_m0.1": write_cns,
    "pdebench_swe": write_swe,
    "pdebench_dr": write_dr,
}


@pytest.fixture
def published(tmp_path):
    """(name, count=7) -> card and folder of small published files."""

    def make(name, count=7):
        card = small_card(name, SPLITS)
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        CORPORA[name](folder / card.published.files[0].name, count)
        return card, folder

    return make


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.mark.parametrize("name", CORPORA)
def test_every_value_of_a_published_file_arrives_in_the_shards(tmp_path, published, name):
    card, raw = published(name)
    for split, numbers in {"train": range(5), "test": range(5, 7)}.items():
        entry = convert(card, split, raw, tmp_path / "out", shard_bytes=20_000)
        assert entry.count == len(numbers)
        assert entry.provenance.producer == card.published.reader
        assert entry.provenance.seed == -1
        (source,) = entry.provenance.sources
        assert source.name == card.published.files[0].name
        assert source.bytes == (raw / source.name).stat().st_size
        corpus = ShardedCorpus.open(tmp_path / "out", name, split)
        for position, number in enumerate(numbers):
            trajectory = corpus.trajectory(position)
            np.testing.assert_array_equal(trajectory.fields, expected(number, len(card.channels)))
            assert trajectory.index == number
            assert trajectory.dt_s == card.dt_s
            assert trajectory.extent == card.extent
    assert verify(tmp_path / "out").ok


def test_a_limit_takes_the_first_trajectories_even_of_a_shorter_file(tmp_path, published):
    card, raw = published("pdebench_cns_m0.1", 3)
    with pytest.raises(UserError, match=r"holds 3 trajectories, the train split .* is \[0:5\]"):
        convert(card, "train", raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    card = small_card("pdebench_cns_m0.1", {"train": (0, 5)})
    assert convert(card, "train", raw, tmp_path / "out", limit=2).count == 2
    corpus = ShardedCorpus.open(tmp_path / "out", card.name, "train")
    np.testing.assert_array_equal(corpus.window(1, 0, corpus.frames), expected(1, 4))


def test_half_precision_and_another_grid_are_made_once_for_all(tmp_path, published):
    card, raw = published("pdebench_dr")
    entry = convert(card, "train", raw, tmp_path / "out", storage="float16", resolution=4, limit=1)
    assert (entry.grid, entry.storage) == ((3, 4), "float16")
    window = ShardedCorpus.open(tmp_path / "out", card.name, "train").window(0, 0, 3)
    fine = from_numpy(expected(0, 2)[:3])
    wanted = interpolate(fine, (3, 4), mode="bilinear", align_corners=False)
    # Half of the spacing of an 11-bit significand, and the round-off of the resizing.
    np.testing.assert_allclose(window, wanted, 2**-11 + 1e-6)


def stopped_at(number):
    """A watch that ends like Ctrl-C before trajectory `number`."""

    def watch(items, *, total, label, unit="it"):
        for position, item in enumerate(items):
            if position == number:
                raise KeyboardInterrupt
            yield item

    return watch


def test_a_stopped_conversion_does_not_go_on_with_another_file_of_its_name_and_size(
    tmp_path, published
):
    card, raw = published("pdebench_swe")
    with pytest.raises(KeyboardInterrupt):
        convert(card, "train", raw, tmp_path / "out", shard_bytes=1, watch=stopped_at(3))
    other = tmp_path / "other"
    raw.rename(other)
    name = card.published.files[0].name
    with h5py.File(other / name, "r+") as file:
        for group in file.values():
            group["data"][...] += 1
    other.rename(raw)
    convert(card, "train", raw, tmp_path / "out", shard_bytes=1)
    corpus = ShardedCorpus.open(tmp_path / "out", card.name, "train")
    for number in range(5):
        np.testing.assert_array_equal(corpus.trajectory(number).fields, expected(number) + 1)


def test_the_bytes_do_not_depend_on_where_the_raw_files_lie(tmp_path, published):
    card, raw = published("pdebench_swe")
    convert(card, "train", raw, tmp_path / "here")
    raw.rename(tmp_path / "moved")
    convert(card, "train", tmp_path / "moved", tmp_path / "there")
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")


def test_a_grid_that_divides_the_published_one_gets_means_over_whole_cells(tmp_path, published):
    card, raw = published("pdebench_dr")
    rng = np.random.default_rng(0)
    with h5py.File(raw / card.published.files[0].name, "r+") as file:
        for group in file.values():
            group["data"][...] = rng.normal(size=group["data"].shape)
    with closing(open_raw(card, "train", raw)) as corpus:
        fine = corpus.read(0).fields
    entry = convert(card, "train", raw, tmp_path / "out", resolution=2, limit=1)
    rows, columns = entry.grid
    window = ShardedCorpus.open(tmp_path / "out", card.name, "train").window(0, 0, card.frames)
    blocks = fine.reshape(*fine.shape[:2], rows, 6 // rows, columns, 8 // columns)
    # Rounded once to float32, from means in float64.
    np.testing.assert_allclose(window, blocks.mean(axis=(3, 5), dtype="f8"), 1e-6)


def test_a_resized_cell_is_solid_where_less_than_half_of_it_is_fluid(tmp_path, monkeypatch):
    mask = np.ones((6, 8), np.float32)
    mask[:, :3] = 0  # of the cells of two columns, the first is solid, the second half
    card = small_card("pdebench_swe", SPLITS)

    class Obstacle:
        sources = ()
        split_known = True
        notes = ()

        def __len__(self):
            return 1

        def read(self, number):
            return Trajectory(
                fields=expected(number),
                corpus=card.name,
                index=number,
                seed=-1,
                dt_s=0.01,
                extent=card.extent,
                boundary=card.boundary,
                mask=mask,
            )

        def close(self):
            pass

    monkeypatch.setitem(READERS, "pdebench_groups", lambda card, split, path: Obstacle())
    convert(card, "train", tmp_path, tmp_path / "out", resolution=4)
    corpus = ShardedCorpus.open(tmp_path / "out", card.name, "train")
    np.testing.assert_array_equal(corpus.mask(0), np.tile([0, 1, 1, 1], (3, 1)))


def with_md5(card, md5):
    files = tuple(f.model_copy(update={"md5": md5}) for f in card.published.files)
    published = card.published.model_copy(update={"files": files})
    return card.model_copy(update={"published": published})


def test_a_right_checksum_is_recorded_and_a_wrong_one_stops_before_anything_is_written(
    tmp_path, published
):
    card, raw = published("pdebench_swe")
    path = raw / card.published.files[0].name
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    entry = convert(with_md5(card, md5.upper()), "test", raw, tmp_path / "right")
    assert entry.provenance.sources[0].md5 == md5
    wrong = with_md5(card, "0" * 32)
    with pytest.raises(UserError, match=f"md5 {md5}, the published file has {'0' * 32}.*switch"):
        convert(wrong, "test", raw, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    entry = convert(wrong, "test", raw, tmp_path / "wrong", checksums=False)
    assert entry.provenance.sources[0].md5 is None


def test_a_file_under_another_name_is_still_held_against_its_checksum(tmp_path, published):
    card, raw = published("pdebench_swe")
    path = (raw / card.published.files[0].name).rename(raw / "mine.h5")
    with pytest.raises(UserError, match=r"holds no 2D_rdb_NA_NA\.h5"):
        convert(card, "test", raw, tmp_path / "out")
    with pytest.raises(UserError, match="the published file has 0000"):
        convert(with_md5(card, "0" * 32), "test", path, tmp_path / "out")
    assert convert(card, "test", path, tmp_path / "out").provenance.sources[0].name == "mine.h5"


def test_progress_of_checksums_and_trajectories_is_told(tmp_path, published):
    card, raw = published("pdebench_swe")
    path = raw / card.published.files[0].name
    told = []

    def watch(items, *, total, label, unit="it"):
        done = 0
        for item in items:
            done += 1
            yield item
        told.append((label, unit, total, done))

    card = with_md5(card, hashlib.md5(path.read_bytes()).hexdigest())
    convert(card, "train", raw, tmp_path / "out", watch=watch)
    mebibytes = -(-path.stat().st_size // 2**20)
    convert(card, "test", raw, tmp_path / "out", watch=watch)
    assert told == [
        ("md5 of 2D_rdb_NA_NA.h5", "MiB", mebibytes, mebibytes),  # once for both splits
        ("pdebench_swe train", "trajectories", 5, 5),
        ("pdebench_swe test", "trajectories", 2, 2),
    ]


def _convert_until_killed(card, raw, out):
    reads = 0

    def watch(items, *, total, label, unit="it"):
        nonlocal reads
        for item in items:
            if reads == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            reads += 1
            yield item

    convert(card, "train", raw, out, shard_bytes=20_000, watch=watch)


@pytest.mark.parametrize("name", ["fno_ns_1e-3", "pdebench_cns_m0.1"])
def test_a_killed_conversion_goes_on_and_gives_the_same_bytes(tmp_path, published, name):
    card, raw = published(name)
    convert(card, "train", raw, tmp_path / "whole", shard_bytes=20_000)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_convert_until_killed, args=(card, raw, tmp_path / "out"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    told = []

    def watch(items, *, total, label, unit="it"):
        told.append(total)
        return items

    convert(card, "train", raw, tmp_path / "out", shard_bytes=20_000, watch=watch)
    assert told[0] < 5  # at least one trajectory was not read again
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_values_that_are_not_finite_are_refused_by_number_and_leave_nothing(tmp_path, published):
    card, raw = published("pdebench_cns_m0.1")
    with h5py.File(raw / card.published.files[0].name, "r+") as file:
        file["pressure"][3, 7, 2, 1] = np.nan
    with pytest.raises(UserError, match=r"pdebench_cns_m0.1 trajectory 3: .*not finite"):
        convert(card, "train", raw, tmp_path / "out", shard_bytes=20_000)
    assert bytes_of(tmp_path / "out") == {}


def test_damage_met_in_the_middle_leaves_the_split_that_was_there(tmp_path, published):
    card, raw = published("pdebench_swe")
    convert(card, "train", raw, tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    with h5py.File(raw / card.published.files[0].name, "r+") as file:
        del file["0003/data"]
    with pytest.raises(UserError, match="/0003/data: no such dataset; there is grid"):
        convert(card, "train", raw, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before
    assert read_manifest(tmp_path / "out").entry(card.name, "train").count == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [({"limit": 0}, "limit=0; wanted 1 or more"), ({"resolution": 0}, "resolution=0 for a grid")],
)
def test_numbers_out_of_range_are_refused_at_once(tmp_path, published, options, message):
    card, raw = published("pdebench_swe")
    with pytest.raises(UserError, match=message):
        convert(card, "train", raw, tmp_path / "out", **options)
