"""Small files that announce large things are refused before these are made."""

import zipfile

import h5py
import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.formats.npy import MOST_HEADER, parse_header
from data_shards.simulation_file import Reading, read_simulation
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


@pytest.mark.parametrize("in_order", [False, True])
def test_more_groups_than_anybody_makes_are_refused(tmp_path, monkeypatch, in_order):
    monkeypatch.setattr("data_shards.formats.hdf5.MOST_OBJECTS", 20)
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", track_order=in_order) as file:
        for number in range(20):
            file.create_dataset(f"u{number}", data=0.0)
    with open_arrays(path) as found:
        assert len(found.arrays) == 20
    with h5py.File(path, "a") as file:
        file.create_group("one_more")
    with pytest.raises(UserError, match="more than 20 in all"), open_arrays(path):
        pytest.fail("opened")


def test_a_coordinate_that_announces_more_than_any_has_is_not_looked_at(tmp_path):
    """Tebibytes that were never written: reading them would take all memory."""
    path, fields = tmp_path / "wide.h5", np.ones((4, 8, 8), np.float32)
    with h5py.File(path, "w") as file:
        file["u"] = fields
        for name, shape in {"x": (1 << 40,), "y": (1 << 20, 1 << 20), "t": (4, 1 << 38)}.items():
            file.create_dataset(name, shape, "f8", chunks=(1 << 10, 1 << 10)[: len(shape)]
                                if name != "t" else (4, 1 << 10))  # fmt: skip
    simulation = read_simulation(path, Reading(axes="t,y,x", channels=("u",)))
    np.testing.assert_array_equal(simulation.fields[:, 0], fields)
    assert simulation.measured == ""


def test_a_name_of_more_digits_than_python_reads_is_a_name(tmp_path):
    path = tmp_path / "digits.npz"
    fields = np.ones((4, 8, 8), np.float32)
    np.savez(path, **{"1" * 5000: fields, "2" * 5000: 2 * fields})
    found = read_simulation(path, Reading(axes="t,y,x"))
    assert found.samples == 2
    assert found.fields.max() == 1


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
