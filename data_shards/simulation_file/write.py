"""Write a simulation as its file was: format, names, axes, type, coordinates.

What is told of every frame (`by_frame`) and fields of the same shape (`beside`) lie beside, in all
formats but NPY, which holds one array.
The file appears whole or not at all, under the name asked for.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import netcdf_file, savemat

from data_shards.atomic import new_file
from data_shards.errors import UserError
from data_shards.simulation_file.arrays import SUFFIXES, Format
from data_shards.simulation_file.simulation import Coordinate, FileLayout, Simulation

_MATLAB_BLOCK = 512  # bytes of MATLAB's own in front of HDF5
_MATLAB_HEAD = b"MATLAB 7.3 MAT-file, written by moe-pot".ljust(116) + b"\0" * 8 + b"\0\2IM"
_MATLAB_CLASSES = {4: b"single", 8: b"double"}
_WORDS = {"s": "sample", "c": "channel"}


def check_suffix(output: Path, simulation: Simulation) -> None:
    """Refuse a name that promises another format than the file's.

    Raises:
        UserError: its ending is another one, or it is the simulation's own file.
    """
    wanted = SUFFIXES[simulation.layout.format]
    if output.suffix.lower() not in wanted:
        raise UserError(
            f"{output}: a forecast is written as its simulation is ({simulation.source.name}); "
            f"give it a name that ends in {' or '.join(wanted)}"
        )
    if simulation.beside and simulation.layout.format == "npy":
        raise UserError(f"{output}: an NPY file holds one array; bands take .npz or another format")
    if output.exists() and simulation.source.exists() and output.samefile(simulation.source):
        raise UserError(f"{output}: is the simulation itself; choose another name")


def write_simulation(
    simulation: Simulation, output: str | Path, *, overwrite: bool = False
) -> None:
    """Write a simulation in the layout of the file that it is from.

    Args:
        simulation: fields (T, C, H, W) and their places.
        output: file to write, of the format's ending.
        overwrite: whether it may replace a file.

    Raises:
        UserError: another ending, a file that is there already, or the disk refuses.
    """
    output = Path(output)
    check_suffix(output, simulation)
    if output.exists() and not overwrite:
        raise UserError(f"{output}: exists already; allow to overwrite it or choose another name")
    try:
        with new_file(output) as partial:
            _WRITERS[simulation.layout.format](partial, simulation)
    except OSError as error:
        raise UserError(f"{output}: could not be written ({error}); fix that and repeat") from None


def _arrays(simulation: Simulation) -> dict[str, NDArray[np.floating]]:
    """The fields as the file has them, and those beside: name -> array over the layout's axes."""
    versions = {"": simulation.fields, **simulation.beside}
    return {
        f"{name}{ending}": array
        for ending, fields in versions.items()
        for name, array in _in_order(simulation, fields).items()
    }


def _in_order(
    simulation: Simulation, fields: NDArray[np.floating]
) -> dict[str, NDArray[np.floating]]:
    layout = simulation.layout
    if simulation.mask is not None and simulation.behind is not None:
        fields = np.where(simulation.mask < 0.5, simulation.behind, fields)
    for letter, axis in (("y", -2), ("x", -1)):
        if letter in layout.down:
            fields = np.flip(fields, axis)
    each = len(simulation.channels) // len(layout.arrays)
    result = {}
    for number, name in enumerate(layout.arrays):
        part = fields[:, number * each : (number + 1) * each]
        letters = "tcyx"
        if "c" not in layout.axes:
            part, letters = part[:, 0], "tyx"
        if "t" not in layout.axes:  # a steady problem
            part, letters = part[0], letters.removeprefix("t")
        if "y" not in layout.axes:  # a line
            part, letters = part[..., 0, :], letters.replace("y", "")
        if "s" in layout.axes:
            part, letters = part[None], f"s{letters}"
        order = [letters.index(letter) for letter in layout.axes]
        result[name] = np.ascontiguousarray(part.transpose(order).astype(layout.dtype))
    return result


def _places(simulation: Simulation) -> dict[str, Coordinate]:
    """Letter -> coordinate in the file's order, under a name that no field has."""
    fields = simulation.layout.arrays
    found = {"t": simulation.times, "y": simulation.rows, "x": simulation.columns}
    return {
        letter: Coordinate(
            f"{place.name}_coordinate" if place.name in fields else place.name,
            place.in_file[::-1] if letter in simulation.layout.down else place.in_file,
            place.attributes,
        )
        for letter, place in found.items()
        if letter in simulation.layout.axes
    }


def _mask(simulation: Simulation) -> NDArray[np.uint8] | None:
    """The mask in the file's order of axes."""
    layout, mask = simulation.layout, simulation.mask
    if mask is None:
        return None
    for letter, axis in (("y", 0), ("x", 1)):
        if letter in layout.down:
            mask = np.flip(mask, axis)
    if "y" not in layout.axes:
        mask = mask[0]
    turned = "y" in layout.axes and layout.axes.index("x") < layout.axes.index("y")
    return np.ascontiguousarray(mask.T if turned else mask).astype(np.uint8)


def _all(simulation: Simulation) -> dict[str, NDArray[np.generic]]:
    """Fields, coordinates and mask by name."""
    result: dict[str, NDArray[np.generic]] = dict(_arrays(simulation))
    for place in _places(simulation).values():
        result.setdefault(place.name, place.values)
    for name, values in simulation.by_frame.items():
        result.setdefault(name, values)
    mask = _mask(simulation)
    if mask is not None:
        result.setdefault("mask", mask)
    return result


def _write_hdf5(path: Path, simulation: Simulation) -> None:
    layout = simulation.layout
    with h5py.File(path, "w") as file:
        file.attrs["boundary"] = simulation.boundary
        scales = {}
        for letter, place in _places(simulation).items():
            scales[letter] = file.create_dataset(place.name, data=place.values)
            scales[letter].attrs.update(place.attributes)
            scales[letter].make_scale(place.name.rpartition("/")[2])
        for number, (name, values) in enumerate(_arrays(simulation).items()):
            dataset = file.create_dataset(name, data=values)
            dataset.attrs.update(_words(layout, number))
            for axis, letter in enumerate(layout.axes):
                if letter in scales:
                    dataset.dims[axis].attach_scale(scales[letter])
                elif layout.format == "netcdf4":  # netCDF knows no axis without a name
                    dataset.dims[axis].attach_scale(_bare_scale(file, letter, values.shape[axis]))
                else:
                    dataset.dims[axis].label = _WORDS[letter]
        for name, values in simulation.by_frame.items():
            if name not in file:
                file.create_dataset(name, data=values).dims[0].attach_scale(scales["t"])
        mask = _mask(simulation)
        if mask is not None and "mask" not in file:
            dataset = file.create_dataset("mask", data=mask)
            plane = [letter for letter in layout.axes if letter in "yx"]
            for axis, letter in enumerate(plane):
                dataset.dims[axis].attach_scale(scales[letter])


def _words(layout: FileLayout, number: int) -> dict[str, str]:
    """About array number so and so; those beside the fields have the words of the fields."""
    return layout.attributes[number % len(layout.arrays)] if layout.attributes else {}


def _bare_scale(file: h5py.File, letter: str, count: int) -> h5py.Dataset:
    name = _WORDS[letter]
    if name not in file:
        file.create_dataset(name, data=np.arange(count, dtype=np.float64)).make_scale(name)
    return file[name]


def _write_netcdf3(path: Path, simulation: Simulation) -> None:
    layout = simulation.layout
    with netcdf_file(str(path), "w", version=2) as file:
        file.boundary = simulation.boundary
        places = _places(simulation)
        names = {letter: place.name for letter, place in places.items()} | _WORDS
        arrays = _arrays(simulation)
        for letter, size in zip(layout.axes, next(iter(arrays.values())).shape, strict=True):
            file.createDimension(names[letter], size)
        for place in places.values():
            _fill(file, place.name, place.values, (place.name,), place.attributes)
        for number, (name, values) in enumerate(arrays.items()):
            words = _words(layout, number)
            _fill(file, name, values, tuple(names[letter] for letter in layout.axes), words)
        for name, values in simulation.by_frame.items():
            if name not in file.variables:
                _fill(file, name, values, (names["t"],), {})
        mask = _mask(simulation)
        if mask is not None and "mask" not in file.variables:
            plane = tuple(names[letter] for letter in layout.axes if letter in "yx")
            _fill(file, "mask", mask.astype(np.int8), plane, {})


def _fill(
    file: netcdf_file,
    name: str,
    values: NDArray[np.generic],
    axes: tuple[str, ...],
    words: dict[str, str],
) -> None:
    variable = file.createVariable(name, values.dtype, axes)
    variable[:] = values
    for word, text in words.items():
        setattr(variable, word, text)


def _write_npz(path: Path, simulation: Simulation) -> None:
    with path.open("wb") as file:
        np.savez(file, **_all(simulation))  # type: ignore[arg-type]


def _write_npy(path: Path, simulation: Simulation) -> None:
    with path.open("wb") as file:
        np.save(file, next(iter(_arrays(simulation).values())), allow_pickle=False)


def _write_matlab5(path: Path, simulation: Simulation) -> None:
    savemat(path, _all(simulation), appendmat=False, oned_as="row")


def _write_matlab73(path: Path, simulation: Simulation) -> None:
    with h5py.File(path, "w", userblock_size=_MATLAB_BLOCK) as file:
        for name, values in _all(simulation).items():
            plane = values if values.ndim > 1 else values[None]
            dataset = file.create_dataset(name, data=plane.T)
            word = _MATLAB_CLASSES.get(plane.dtype.itemsize, b"uint8")
            dataset.attrs["MATLAB_class"] = np.bytes_(word)
    with path.open("r+b") as raw:
        raw.write(_MATLAB_HEAD)


_WRITERS: dict[Format, Callable[[Path, Simulation], None]] = {
    "hdf5": _write_hdf5,
    "netcdf4": _write_hdf5,
    "netcdf3": _write_netcdf3,
    "npz": _write_npz,
    "npy": _write_npy,
    "matlab5": _write_matlab5,
    "matlab73": _write_matlab73,
}
