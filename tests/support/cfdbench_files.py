"""Small trees with the layout of CFDBench, unpacked or zipped.

Values of `u.npy` say which case, frame, row and column they are of; those of
`v.npy` are half more, and negative. Grids are not square.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from published_files import WEIGHTS, numbered

GRID = {"y": 6, "x": 8}
SUBSETS = ("prop", "bc", "geo")
PARAMETERS = {
    "cavity": {"vel_top": 3.0, "density": 2.0, "viscosity": 0.01, "height": 0.03, "width": 0.02},
    "tube": {"vel_in": 0.5, "density": 10.0, "viscosity": 0.01, "height": 0.06, "width": 0.4},
    "cylinder": {
        "vel_in": 0.2,
        "density": 10.0,
        "viscosity": 0.001,
        "x_min": -0.06,
        "x_max": 0.10,
        "y_min": -0.06,
        "y_max": 0.06,
        "radius": 0.021,
    },
    "dam": {
        "case_no": 0.0,
        "velocity": 0.05,
        "density": 100.0,
        "viscosity": 0.1,
        "barrier_height": 0.1,
        "barrier_width": 0.3,
        "height": 0.3,
        "width": 1.6,
        "dx": 0.2,
        "dy": 0.05,
    },
}


def frames_of(case: int, count: int) -> np.ndarray:
    """Fields (T, 2, H, W) of a case, float64."""
    u = numbered("tyx", t=count, **GRID).astype("f8") + WEIGHTS["n"] * case
    return np.stack([u, -u - 0.5], axis=1)


def case_files(problem: str, case: int, count: int, dtype: str = "f8") -> dict[str, bytes]:
    """Contents of a case's three files."""
    fields = frames_of(case, count).astype(dtype)
    text = json.dumps({**PARAMETERS[problem], "density": 1.0 + case})
    return {"u.npy": npy(fields[:, 0]), "v.npy": npy(fields[:, 1]), "case.json": text.encode()}


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def tree_of(counts: dict[str, dict[str, list[int]]]) -> dict[str, bytes]:
    """Names and contents of a tree; counts are frames per problem, subset and case.

    The number that a case's values carry is its own, counted through its problem's subsets
    in the order prop, bc, geo.
    """
    tree = {}
    for problem, subsets in counts.items():
        number = 0
        for subset in SUBSETS:
            for case, count in enumerate(subsets.get(subset, [])):
                folder = f"{problem}/{subset}/case{case:04d}"
                dtype = "f4" if number % 2 else "f8"
                for name, content in case_files(problem, number, count, dtype).items():
                    tree[f"{folder}/{name}"] = content
                number += 1
    return tree


def unpack(tree: dict[str, bytes], folder: Path) -> Path:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack(tree: dict[str, bytes], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return path


def pack_as_published(tree: dict[str, bytes], folder: Path) -> Path:
    """cavity.zip, tube.zip, dam.zip and one zip per subset of the cylinder."""
    by_zip: dict[str, dict[str, bytes]] = {}
    for name, content in tree.items():
        problem, subset, rest = name.split("/", 2)
        if problem == "cylinder":
            by_zip.setdefault(f"cylinder/{subset}.zip", {})[f"{subset}/{rest}"] = content
        else:
            by_zip.setdefault(f"{problem}.zip", {})[name] = content
    for name, part in by_zip.items():
        pack(part, folder / name)
    return folder
