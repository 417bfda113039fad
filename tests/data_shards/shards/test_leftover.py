"""Law: a writer that is stopped anywhere and started again gives the same bytes, and does no
work twice; one whose data are refused leaves nothing."""

import errno
import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from data_shards.errors import UserError
from data_shards.generate import SimulationError
from data_shards.shards import leftover
from data_shards.shards.manifest import Provenance, read_manifest
from data_shards.shards.verify import verify
from data_shards.shards.writer import write_corpus

STEM = ".partial-toy_flow-train"


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def write(toy_card, toy_trajectories):
    """(out, stop=None, stopping=None, **options): writes 7 trajectories; calls `stopping` instead
    of giving trajectory `stop`. Returns where the writer asked to begin."""

    def written(out, stop=None, stopping=None, **options):
        began = []

        def trajectories_from(first):
            began.append(first)
            for index, trajectory in enumerate(toy_trajectories("toy_flow")):
                if index == stop:
                    stopping()
                if index >= first:
                    yield trajectory

        write_corpus(
            trajectories_from,
            toy_card("toy_flow"),
            out=out,
            **{
                "split": "train",
                "count": 7,
                "provenance": Provenance(producer="random", version=1, seed=0),
                "shard_bytes": 20_000,  # two or three trajectories in a shard
                **options,
            },
        )
        return began[0]

    return written


def killed(write, *arguments, **options):
    """Run a writer in a process that ends without any cleaning up."""
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=write, args=arguments, kwargs={**options, "stopping": lambda: os._exit(9)}
    )
    process.start()
    process.join()
    assert process.exitcode == 9


@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_killed_writer_is_taken_up_where_it_was(tmp_path, write, stop, storage):
    write(tmp_path / "whole", storage=storage)
    cut = tmp_path / "cut"
    killed(write, cut, stop, storage=storage)
    assert not list(cut.glob("*.tar"))
    began = write(cut, storage=storage)
    # The tar stream holds back up to 10 kB, here two of these small trajectories.
    assert stop - 2 <= began <= stop
    assert bytes_of(cut) == bytes_of(tmp_path / "whole")
    assert not list(cut.glob(".partial*"))
    assert verify(cut).ok


def test_a_writer_killed_again_and_again_gets_there(tmp_path, write):
    write(tmp_path / "whole")
    cut = tmp_path / "cut"
    for stop in (2, 4, 4, 5, 6):
        killed(write, cut, stop)
    assert write(cut) >= 4
    assert bytes_of(cut) == bytes_of(tmp_path / "whole")


def test_a_tar_that_was_cut_anywhere_gives_its_whole_samples(tmp_path, write):
    write(tmp_path / "whole")
    for size in (0, 100, 5000, 16_500, 30_000):
        cut = tmp_path / f"cut{size}"
        killed(write, cut, 3)
        last = max((cut / STEM).glob("*.tar"))
        last.write_bytes(last.read_bytes()[:size])
        write(cut)
        assert bytes_of(cut) == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize(
    "stop",
    [KeyboardInterrupt(), BrokenProcessPool(), SimulationError("trajectory 4: it diverged")],
    ids=["ctrl-c", "a worker that died", "a simulation that failed"],
)
def test_a_stop_keeps_what_is_done(tmp_path, write, stop):
    def stopping():
        raise stop

    with pytest.raises(type(stop)):
        write(tmp_path, 4, stopping)
    assert write(tmp_path) == 4


def test_a_full_disk_keeps_what_is_done_and_says_so(tmp_path, write):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left on device; what is done is kept"):
        write(tmp_path, 4, full)
    assert write(tmp_path) == 4


def test_what_was_there_before_goes_as_it_is_written_once_more(tmp_path, write):
    killed(write, tmp_path, 5)
    room = []

    def look():
        room.append(sum(file.stat().st_size for file in (tmp_path / STEM).rglob("*.tar")))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 6, look)
    write(tmp_path)
    whole = sum(file.stat().st_size for file in tmp_path.glob("*.tar"))
    assert 0 < room[0] <= whole


def test_a_fault_leaves_nothing(tmp_path, write):
    def fault():
        raise UserError("bad data")

    with pytest.raises(UserError, match="bad data"):
        write(tmp_path, 4, fault)
    assert list(tmp_path.iterdir()) == []
    assert write(tmp_path) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"provenance": Provenance(producer="random", version=1, seed=1)},
        {"provenance": Provenance(producer="random", version=2, seed=0)},
        {"storage": "float16"},
        {"origin": [["/elsewhere/raw.h5", 1, 2]]},
    ],
)
def test_leftovers_of_another_order_are_not_taken_up(tmp_path, write, other):
    killed(write, tmp_path, 4)
    assert write(tmp_path, **other) == 0
    assert read_manifest(tmp_path).entries[0].count == 7


def test_after_a_crash_of_the_machine_only_finished_shards_are_trusted(
    tmp_path, write, monkeypatch
):
    write(tmp_path / "whole")
    cut = tmp_path / "cut"
    killed(write, cut, 6)
    finished = sorted((cut / STEM).glob("*.tar"))[:-1]
    monkeypatch.setattr(leftover, "_boot", lambda: "another run of the machine")
    began = write(cut)
    assert 0 < began < 5
    assert len(finished) > 0
    assert bytes_of(cut) == bytes_of(tmp_path / "whole")
