"""Files of HDF5 with some bytes changed: numbers or one line; never a trace, a crash or silence.

Numbers in a file without checksums may be other ones than were written: nobody can tell.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_mutants import FORMS, write

from data_shards.errors import UserError
from data_shards.formats import trial
from data_shards.formats.hdf5 import open_hdf5
from data_shards.formats.trial import fault_of

ROOT = Path(__file__).parents[3]
LONG = 250


def tally(form: str, number: int) -> Counter[str]:
    """Of mutants that a process of its own has read."""
    script = ROOT / "tests" / "support" / "hdf5_mutants.py"
    command = [sys.executable, str(script), form, str(number)]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    return Counter(json.loads(told.stdout))


@pytest.mark.attack
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [25, pytest.param(LONG, marks=pytest.mark.slow)])
def test_no_change_of_bytes_ends_in_a_trace_a_crash_or_silence(form, number, record_property):
    found = tally(form, number)
    record_property("attack", f"bytes of `.h5` changed ({form})")
    record_property("trials", number)
    record_property("outcome", ", ".join(f"{found[word]} {word}" for word in sorted(found)))
    assert found.total() == number
    assert set(found) <= {"refused", "same", "other"}, found
    assert found["refused"] > number / 10
    if form == "checksums":
        assert found["other"] == 0, "silent"


def test_a_file_that_brings_the_library_down_is_one_line_and_the_next_is_opened(
    tmp_path, monkeypatch
):
    path = tmp_path / "file.h5"
    write(path, "plain")
    for answer, words in (("died", "brings the HDF5 library down"), ("hung", "finds no end in")):
        with monkeypatch.context() as patched:
            patched.setattr(trial._Helper, "_asked", lambda _, path, answer=answer: answer)
            with pytest.raises(UserError, match=rf"\A{path}: damaged: .*{words}.*\Z"):
                open_hdf5(path)
    open_hdf5(path).close()


def test_a_helper_that_was_killed_is_started_again(tmp_path):
    path = tmp_path / "file.h5"
    write(path, "plain")
    assert fault_of(path) is None
    process = trial._HELPER._process
    assert process is not None
    process.kill()
    process.wait()
    assert fault_of(path) is None


def test_an_endless_look_is_ended(tmp_path):
    path = tmp_path / "file.h5"
    write(path, "plain")
    child = os.fork()
    if not child:
        trial._SECONDS, trial._look = 1, lambda _: time.sleep(30)
        trial._try(str(path))
    status = os.waitpid(child, 0)[1]
    assert os.WTERMSIG(status) == signal.SIGALRM


def test_numbers_of_other_files_are_not_looked_at(tmp_path):
    """A virtual dataset would read any file of this machine, or wait for a pipe."""
    path = tmp_path / "file.h5"
    layout = h5py.VirtualLayout((3,), "f8")
    layout[...] = h5py.VirtualSource(str(tmp_path / "pipe"), "u", (3,))
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout)
        file["u"] = np.zeros(3)
        file["away"] = h5py.ExternalLink(str(tmp_path / "pipe"), "u")
    os.mkfifo(tmp_path / "pipe")
    assert fault_of(path) is None
