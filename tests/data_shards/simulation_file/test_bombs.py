"""Small files that announce large things are refused before these are made."""

import zipfile

import h5py
import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.formats.npy import MOST_HEADER, parse_header
from data_shards.simulation_file.arrays import open_arrays


def test_a_packed_file_that_unpacks_to_far_more_is_refused_unread(tmp_path):
    path, piece = tmp_path / "bomb.npz", bytes(1 << 20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("u.npy", "w") as member,
    ):
        member.write(piece)
    content = path.read_bytes().replace(
        (1 << 20).to_bytes(4, "little"), (2 << 30).to_bytes(4, "little")
    )
    path.write_bytes(content)  # as if it were 2 GiB: only what it announces is looked at
    with pytest.raises(UserError, match="unpack to 2147483648: do not trust"), open_arrays(path):
        pytest.fail("opened")


def test_packed_fields_of_a_simulation_are_read(tmp_path):
    fields = np.zeros((20, 64, 64), np.float32)  # shrinks to a thousandth
    np.savez_compressed(tmp_path / "still.npz", u=fields)
    with open_arrays(tmp_path / "still.npz") as found:
        assert np.array_equal(found.arrays["u"].take(...), fields)


@pytest.mark.parametrize("nested", [33, 5000])
def test_groups_nested_deeper_than_anybody_does_are_refused_at_once(tmp_path, nested):
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(nested):
            group = group.create_group("g")
    with pytest.raises(UserError, match="more than 32 groups in each other"), open_arrays(path):
        pytest.fail("opened")


def header(text: str, version: int = 1) -> bytes:
    size = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(size, "little") + text.encode()


@pytest.mark.parametrize(
    "begin",
    [
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }"),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "(" * 300 + ", }"),
        header("{'descr': [('a', 3)], 'fortran_order': False, 'shape': (1,), }"),
        header("{" * 3000, version=2),
        header("'" * 7),
        header("\0"),
        header(" " * 60_000)[:MOST_HEADER],
        header("{}")[:9],
        b"\x93NUMPY\x07\x00",
        b"",
    ],
)
def test_a_header_that_numpy_does_not_understand_is_a_value_error_of_one_line(begin):
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        parse_header(begin)


def test_headers_that_numpy_writes_are_understood():
    from io import BytesIO

    for array in (np.zeros((3, 4), "<f2"), np.asfortranarray(np.zeros((2, 5))), np.zeros(())):
        file = BytesIO()
        np.save(file, array)
        dtype, shape, fortran, length = parse_header(file.getvalue())
        assert (dtype, shape) == (array.dtype, array.shape)
        assert fortran == (array.ndim > 1 and array.flags.f_contiguous)
        assert length + array.nbytes == len(file.getvalue())
