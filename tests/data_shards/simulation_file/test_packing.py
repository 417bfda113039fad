"""Numbers of netCDF mean what netCDF4-python and xarray read from the same files.

`NETCDF4` holds what netCDF4 1.7.5 read from the files of `write`, `XARRAY` where xarray 2026.9 has
another answer: it knows neither default fill values nor ranges.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from own_files import places, waves
from scipy.io import netcdf_file

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation
from data_shards.simulation_file.arrays import open_arrays
from data_shards.simulation_file.packing import packing_of

NAN = np.nan
LARGE = 9.969209968386869e36
Case = tuple[str, list[float], dict[str, Any], list[float]]

NETCDF4: dict[str, Case] = {
    "fill": (
        "i2", [0, 100, -32767, -5],
        {"scale_factor": 0.01, "add_offset": 280.0, "_FillValue": np.int16(-32767)},
        [280, 281, NAN, 279.95],
    ),
    "several missing": (
        "i2", [0, -1, -2, 7], {"scale_factor": 0.5, "missing_value": np.array([-1, -2], "i2")},
        [0, NAN, NAN, 3.5],
    ),
    "fill and missing": (
        "i2", [0, -1, -2, 7],
        {"scale_factor": 0.5, "_FillValue": np.int16(-1), "missing_value": np.int16(-2)},
        [0, NAN, NAN, 3.5],
    ),
    "default short": ("i2", [0, -32767, -32768, 7], {"scale_factor": 0.5}, [0, NAN, -16384, 3.5]),
    "default int": ("i4", [0, -(2**31) + 1, 3, 7], {"scale_factor": 0.5}, [0, NAN, 1.5, 3.5]),
    "default float": ("f4", [0, LARGE, 3, 7], {}, [0, NAN, 3, 7]),
    "default double": ("f8", [0, LARGE, 3, 7], {}, [0, NAN, 3, 7]),
    "a double attribute": ("f4", [0, 1e20, 3, 7], {"missing_value": 1e20}, [0, NAN, 3, 7]),
    "unsigned bytes": (
        "i1", [0, -2, -1, 7],
        {"_Unsigned": "true", "scale_factor": 0.5, "_FillValue": np.int8(-1)},
        [0, 127, NAN, 3.5],
    ),
    "unsigned shorts": (
        "i2", [0, -2, -1, 7],
        {"_Unsigned": "true", "scale_factor": 0.5, "_FillValue": np.int16(-1)},
        [0, 32767, NAN, 3.5],
    ),
    "a packed range": (
        "i2", [0, 101, -1, 7], {"scale_factor": 0.5, "valid_range": np.array([0, 100], "i2")},
        [0, NAN, NAN, 3.5],
    ),
    "packed ends": (
        "i2", [0, 101, -1, 7],
        {"scale_factor": 0.5, "valid_min": np.int16(0), "valid_max": np.int16(100)},
        [0, NAN, NAN, 3.5],
    ),
    "a range of floats": (
        "f4", [0, 101, -1, 7], {"valid_range": np.array([0, 100], "f4")}, [0, NAN, NAN, 7],
    ),
    "a fill value of another type": (
        "i2", [0, -999, 3, 7], {"scale_factor": 0.01, "_FillValue": np.float64(-999)},
        [0, NAN, 0.03, 0.07],
    ),
}  # fmt: skip
XARRAY: dict[str, list[float]] = {
    "default short": [0, -16383.5, -16384, 3.5],
    "default int": [0, -1073741824 + 0.5, 1.5, 3.5],
    "default float": [0, LARGE, 3, 7],
    "default double": [0, LARGE, 3, 7],
    "a packed range": [0, 50.5, -0.5, 3.5],
    "packed ends": [0, 50.5, -0.5, 3.5],
    "a range of floats": [0, 101, -1, 7],
}
# Neither of them takes these as what they are.
OWN: dict[str, Case] = {
    "a fill value in units of the field": (
        "i2", [0, -32768, 3, 7], {"scale_factor": 0.01, "missing_value": np.float64(-327.68)},
        [0, NAN, 0.03, 0.07],
    ),
    "a range in units of the field": (  # of the factors' type: so the NetCDF Users' Guide
        "i2", [0, 5000, 20000, -1],
        {"scale_factor": np.float64(0.01), "valid_range": np.array([0.0, 100.0])},
        [0, 50, NAN, NAN],
    ),
    "bytes have no default": ("i1", [0, -127, 3, 7], {"scale_factor": 0.5}, [0, -63.5, 1.5, 3.5]),
}  # fmt: skip


def write(path: Path, dtype: str, stored: list[float], attributes: dict[str, Any]) -> Path:
    """One variable u of a classic netCDF file."""
    with netcdf_file(str(path), "w") as file:
        file.createDimension("x", len(stored))
        variable = file.createVariable("u", dtype, ("x",))
        variable[:] = np.array(stored, dtype)
        for name, value in attributes.items():
            setattr(variable, name, value)
    return path


@pytest.mark.parametrize("name", [*NETCDF4, *OWN])
def test_what_stands_for_no_value_is_none_and_the_rest_is_scaled(name: str, tmp_path: Path) -> None:
    dtype, stored, attributes, wanted = (NETCDF4 | OWN)[name]
    with open_arrays(write(tmp_path / "a.nc", dtype, stored, attributes)) as found:
        array = found.arrays["u"]
        values = array.take(...)
    assert array.dtype.kind == "f"
    # scipy writes factors in single precision.
    np.testing.assert_allclose(values, wanted, rtol=1e-6)
    if name in NETCDF4 and name not in XARRAY:
        return
    numbers = np.isfinite(wanted)
    np.testing.assert_allclose(values[numbers], np.array(XARRAY.get(name, wanted))[numbers], 1e-6)


def test_what_is_not_packed_stays_as_it_is_stored() -> None:
    assert packing_of(np.dtype("i4"), {"_FillValue": 7}.get, netcdf=True) is None
    assert packing_of(np.dtype("f4"), {}.get, netcdf=False) is None
    assert packing_of(np.dtype("U3"), {"scale_factor": 2.0}.get, netcdf=True) is None


def test_unsigned_numbers_of_netcdf4_may_be_meant_as_signed() -> None:
    packing = packing_of(np.dtype("u1"), {"_Unsigned": "false", "scale_factor": 2.0}.get, True)
    assert packing is not None
    np.testing.assert_array_equal(packing.values(np.array([1, 255], "u1")), [2, -2])


def _swapped(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder())


def test_the_order_of_bytes_does_not_matter() -> None:
    packing = packing_of(np.dtype(">i2"), {"_FillValue": _swapped(np.array([-1], "i2")),
                                           "scale_factor": 0.5}.get, True)  # fmt: skip
    assert packing is not None
    np.testing.assert_array_equal(packing.values(np.array([4, -1], ">i2")), [2, NAN])


@pytest.mark.parametrize("ending", ["nc", "h5"])
def test_cells_without_a_value_are_refused_and_a_mask_takes_them(
    ending: str, tmp_path: Path
) -> None:
    fields, mask = waves(channels=1)[:, 0], np.ones((12, 20), np.int8)
    mask[3:5, 7:12] = 0
    stored = np.where(mask, fields, np.float32(LARGE))
    path = tmp_path / f"ocean.{ending}"
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2"
        file["sst"] = stored
        for name, values in places().items():
            file[name] = values
    with pytest.raises(UserError, match=r"the first is nan .* same cells in all frames.* --mask"):
        read_simulation(path)
    np.save(tmp_path / "land.npy", mask)
    found = read_simulation(path, Reading(mask=str(tmp_path / "land.npy")))
    np.testing.assert_array_equal(found.fields[:, 0], fields * mask)


def test_a_channel_without_any_value_is_to_be_left_out(tmp_path: Path) -> None:
    fields = waves()
    path = tmp_path / "gaps.npz"
    np.savez(path, u=fields[:, 0], v=np.full_like(fields[:, 0], np.nan))
    with pytest.raises(UserError, match="no value is one in v: leave it out by --channels"):
        read_simulation(path, Reading(axes="t,y,x"))
