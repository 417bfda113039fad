"""Files of HDF5 with some bytes changed, each read by a process that may die of it.

    python tests/support/hdf5_mutants.py FORM NUMBER     # a JSON object: outcome -> mutants

Outcomes: "refused" in one line; "same" numbers as before the change; "other" numbers; or whatever
should not be: the name of an exception, "several lines", "signal 11".
"""

import json
import os
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from data_shards.errors import UserError
from data_shards.simulation_file.arrays import open_arrays

FIELDS = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
# Of the last, all bytes of objects and of numbers are under checksums of the format's own.
FORMS = ("plain", "packed", "checksums")


def write(path: Path, form: str) -> None:
    """A simulation with names, axes and a group."""
    numbers: dict[str, Any] = {
        "plain": {},
        "packed": {"compression": "gzip", "shuffle": True},
        "checksums": {"fletcher32": True},
    }[form]
    with h5py.File(path, "w", libver="latest" if form == "checksums" else "earliest") as file:
        summed = form == "checksums"
        times = file.create_dataset("t", (3,), "f8", fletcher32=summed or None)
        times[:] = np.arange(3.0)
        fields = file.create_dataset("fields/u", data=FIELDS, **numbers)
        fields.attrs["units"] = "m/s"
        file.attrs["boundary"] = "periodic"
        times.make_scale("t")
        fields.dims[0].attach_scale(times)
        fields.dims[1].label = "y"


def changed(whole: bytes, number: int) -> bytes:
    """Mutant of this number: single bytes, a run of them, or the end cut off."""
    rng, content = Random(number), bytearray(whole)
    if number % 10 == 0:
        return bytes(content[: rng.randrange(1, len(whole))])
    if number % 4 == 3:
        first = rng.randrange(len(whole))
        for place in range(first, min(len(whole), first + rng.randrange(1, 64))):
            content[place] = rng.choice([0, 127, 255, rng.randrange(256)])
    else:
        end = min(len(whole), [512, 2048, len(whole)][number % 3])  # headers are where it hurts
        for _ in range(1 + number % 5):
            content[rng.randrange(end)] = rng.randrange(256)
    return bytes(content)


def read(path: Path) -> dict[str, np.ndarray]:
    """Everything in a file, as `foundation predict` opens it."""
    with open_arrays(path) as found:
        return {name: array.take(...) for name, array in found.arrays.items()}


def outcome(path: Path, wanted: dict[str, np.ndarray]) -> str:
    """What reading a file comes to."""
    try:
        came = read(path)
    except UserError as error:
        return "several lines" if "\n" in str(error) else "refused"
    except BaseException as error:
        return type(error).__name__
    alike = came.keys() == wanted.keys() and all(
        np.array_equal(came[name], wanted[name]) for name in wanted
    )
    return "same" if alike else "other"


def tally(form: str, number: int) -> Counter[str]:
    """Outcomes of so many mutants; a process that dies is one, and another goes on behind it."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.h5"
        write(path, form)
        whole, wanted, done = path.read_bytes(), read(path), 0
        while done < number:
            told, tell = os.pipe()
            child = os.fork()
            if not child:
                for mutant in range(done, number):
                    path.write_bytes(changed(whole, mutant))
                    os.write(tell, f"{outcome(path, wanted)}\n".encode())
                os._exit(0)
            os.close(tell)
            with os.fdopen(told) as lines:
                words = lines.read().splitlines()
            found.update(words)
            done += len(words)
            status = os.waitpid(child, 0)[1]
            if status:
                found[f"signal {os.WTERMSIG(status)}"] += 1
                done += 1
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of numpy, on what it sees
    print(json.dumps(tally(sys.argv[1], int(sys.argv[2]))))
