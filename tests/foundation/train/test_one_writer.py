"""A training folder has one writer, and whoever dies leaves it free."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_shards.errors import UserError
from foundation.train.one_writer import LOCK, only_writer

# Holds the folder, says so, forks a child that outlives it, and waits to be killed.
HOLDER = """
import os, sys, time
from pathlib import Path
from foundation.train.one_writer import only_writer
with only_writer(Path(sys.argv[1])):
    if not os.fork():
        sys.stdout.close()
        time.sleep(20)
        os._exit(0)
    print("held", flush=True)
    time.sleep(20)
"""


def test_a_folder_that_is_removed_under_its_run_keeps_what_the_run_says_of_it(tmp_path):
    def write(folder: Path) -> None:
        shutil.rmtree(folder)
        raise UserError("run: was removed")

    with pytest.raises(UserError, match="was removed"), only_writer(tmp_path / "run"):
        write(tmp_path / "run")


def test_the_second_writer_is_told_who_the_first_is_and_a_killed_one_holds_nothing(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        holder = f"process {first.pid} on .* is training there"
        with pytest.raises(UserError, match=holder) as told, only_writer(folder):
            pytest.fail("two writers")
        assert "\n" not in str(told.value)
        first.kill()  # its child lives on, as a loader's worker does
        first.wait()
        with only_writer(folder):
            assert (folder / LOCK).read_text().startswith("process ")


def test_what_is_refused_leaves_no_folder_and_what_was_there_stays(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    (old / "config.yaml").touch()
    for folder in (new, old):
        with pytest.raises(UserError, match="refused"), only_writer(folder):
            raise UserError("refused")
    assert not new.exists()
    assert (old / "config.yaml").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"), only_writer(tmp_path / "file"):
        pytest.fail("held")
