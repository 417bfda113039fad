"""Small files with the layout of The Well.

Values say which sample, frame, channel and cell they are of; axes are in the
file's order (N, T, x, y[, z]) with the axes left out along which a field is constant.
"""

import h5py
import numpy as np

WEIGHTS = {"n": 1_000_000, "t": 20_000, "c": 2_000, "z": 200, "y": 20, "x": 1}
CELLS = {"x": 8, "y": 6, "z": 4}
FRAMES = 5


def numbered(axes, channel=0, **lengths):
    """An array over `axes`, for instance "ntxy", whose values say where they belong."""
    sizes = {"t": FRAMES, **CELLS, **lengths}
    places = np.indices([sizes[axis] for axis in axes])
    values = sum(WEIGHTS[axis] * place for axis, place in zip(axes, places, strict=True))
    return (values + WEIGHTS["c"] * channel).astype("f4")


def expected(number, channel, axes="tyx", **lengths):
    """A channel (T, [z,] y, x) of one sample."""
    return numbered(axes, channel, **lengths) + np.float32(WEIGHTS["n"] * number)


def write_well(path, count=3, *, axes="xy", first=0, frames=FRAMES, scalars=None, name="toy"):
    """density and a constant field c (t0), velocity (t1), a symmetric tensor D (t2).

    Channels are numbered density 0, c 1, velocity 2, 3[, 4], D from 5 on, row by row.
    """
    lengths = {"n": count, "t": frames}
    offset = np.float32(WEIGHTS["n"] * first)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            dataset_name=name,
            grid_type="cartesian",
            n_spatial_dims=len(axes),
            n_trajectories=count,
            simulation_parameters=["gamma"],
            gamma=5 / 3,
        )
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = list(axes)
        dimensions["time"] = (0.25 * np.arange(frames)).astype("f4")
        dimensions["time"].attrs["sample_varying"] = False
        for axis in axes:
            cells = CELLS[axis]
            dimensions[axis] = ((np.arange(cells) + 0.5) / cells * 2).astype("f4")
            dimensions[axis].attrs.update(sample_varying=False, time_varying=False)
        full = "nt" + axes
        t0 = file.create_group("t0_fields")
        t0.attrs["field_names"] = ["density", "c"]
        field(t0, "density", numbered(full, 0, **lengths) + offset, axes)
        field(t0, "c", numbered("n" + axes, 1, **lengths) + offset, axes, time_varying=False)
        t1 = file.create_group("t1_fields")
        t1.attrs["field_names"] = ["velocity"]
        parts = [numbered(full, 2 + i, **lengths) + offset for i in range(len(axes))]
        field(t1, "velocity", np.stack(parts, -1), axes)
        t2 = file.create_group("t2_fields")
        t2.attrs["field_names"] = ["D"]
        size = len(axes)
        entries = [[5 + min(i, j) * size + max(i, j) for j in range(size)] for i in range(size)]
        rows = [np.stack([numbered(full, c, **lengths) + offset for c in r], -1) for r in entries]
        field(t2, "D", np.stack(rows, -2), axes)
        t2["D"].attrs.update(symmetric=True, antisymmetric=False)
        conditions = file.create_group("boundary_conditions")
        boundary(conditions, "x_periodic", "PERIODIC", ["x"], ends(axes, "x"))
        boundary(conditions, "y_wall", "wall", ["y"], ends(axes, "y", high=False))
        group = file.create_group("scalars")
        values = {"tcool": np.array(0.1 * (first + 1)), **(scalars or {})}
        group.attrs["field_names"] = list(values)
        for key, value in values.items():
            group[key] = value
            varying = np.ndim(value) == 1 and len(value) == count
            group[key].attrs.update(sample_varying=varying, time_varying=False)
    return path


def field(group, name, values, axes, *, sample_varying=True, time_varying=True, dims=None):
    """One field with its flags."""
    if name in group:
        del group[name]
    group[name] = values
    group[name].attrs.update(
        sample_varying=sample_varying,
        time_varying=time_varying,
        dim_varying=[True] * len(axes) if dims is None else dims,
    )


def boundary(group, name, kind, dims, mask):
    condition = group.create_group(name)
    condition.attrs.update(
        associated_dims=dims, associated_fields=[], bc_type=kind, sample_varying=False,
        time_varying=False,
    )  # fmt: skip
    condition["mask"] = mask


def ends(axes, axis, *, low=True, high=True):
    """A mask that is true at the ends of an axis."""
    mask = np.zeros(CELLS[axis], bool)
    mask[0], mask[-1] = low, high
    return mask
