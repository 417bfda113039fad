"""Files of arrays with some bytes changed: numbers or one line, never a traceback.

Those of HDF5, whose library crashes on some, are in `formats/test_hdf5_mutations.py`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file, savemat

from data_shards.errors import UserError
from data_shards.simulation_file.arrays import open_arrays

MUTANTS = 200
FIELDS = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


def write_netcdf(path: Path) -> None:
    with netcdf_file(str(path), "w", mmap=False) as file:
        for name, length in zip("tyx", FIELDS.shape, strict=True):
            file.createDimension(name, length)
        file.createVariable("u", "f4", ("t", "y", "x"))[:] = FIELDS
        file.history = "made for a test"


WRITERS: dict[str, Callable[[Path], None]] = {
    ".npy": lambda path: np.save(path, FIELDS),
    ".npz": lambda path: np.savez_compressed(path, u=FIELDS, dt=0.1),
    ".nc": write_netcdf,
    ".mat": lambda path: savemat(path, {"u": FIELDS, "dt": 0.1}),
}


@pytest.mark.attack
@pytest.mark.filterwarnings("ignore")  # of the libraries, on what they see
@pytest.mark.parametrize("suffix", WRITERS)
def test_no_change_of_bytes_ends_in_a_traceback(tmp_path, rng, suffix, record_property):
    path = tmp_path / f"file{suffix}"
    WRITERS[suffix](path)
    whole = path.read_bytes()
    head = min(len(whole), 256)
    refused = 0
    for number in range(MUTANTS):
        content = bytearray(whole)
        end = head if number % 2 else len(whole)  # headers are where it hurts
        for place in rng.integers(0, end, 1 + number % 5):
            content[place] = rng.integers(256)
        path.write_bytes(content[: rng.integers(1, len(whole))] if number % 10 == 0 else content)
        try:
            with open_arrays(path) as found:
                for array in found.arrays.values():
                    array.take(...)
        except UserError:
            refused += 1
    record_property("attack", f"bytes of `{suffix}` changed")
    record_property("trials", MUTANTS)
    record_property("outcome", f"{refused} refused, {MUTANTS - refused} read as numbers")
    assert refused > MUTANTS / 10
