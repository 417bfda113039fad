"""Runs of a file: its arrays by name in, the arrays of every run out.

A run may have a group of its own (`0000/data`, `run_1/u`) or an array (`0`, `1`, `10`); a group or
an array that is numbered as a time (`t_000/u`) holds one frame, and all of them are one run. What
lies outside of such groups, as places, belongs to all runs. Groups that numbers do not tell
from each other may be runs or channels; that is asked.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.simulation_file.arrays import FileArray
from data_shards.simulation_file.axes import MOST_CHANNELS, letter_of
from data_shards.simulation_file.places import find_places, letter_of_axis

UNNAMED = "u"  # the one field of runs that are an array each
_RUNS = (
    "run", "sample", "sim", "simulation", "traj", "trajectory", "seed", "case", "member",
    "ensemble", "realization", "realisation", "batch",
)  # fmt: skip
_PARTS = ("data", "value", "values", "field", "fields", "array", "real", "imag", "re", "im")

Arrays = Mapping[str, FileArray]


@dataclass(frozen=True)
class Run:
    """Arrays of one run.

    Attributes:
        name: of its group or array; empty where the file is one run.
        own: its arrays, by their names within it.
        shared: those of all runs.
    """

    name: str
    own: dict[str, FileArray]
    shared: dict[str, FileArray] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, FileArray]:
        """All of them; its own before others of the same name."""
        return self.own | {name: a for name, a in self.shared.items() if name not in self.own}


def find_runs(path: Path, arrays: Arrays, axes: str | None = None) -> list[Run]:
    """Sort the arrays of a file into runs.

    Args:
        path: of the file, for messages.
        arrays: by name, in the order of the file.
        axes: the user's own word on the axes of a field.

    Raises:
        UserError: groups or arrays may be runs, frames or channels, and nothing tells.
    """
    members = _numbered_groups(arrays)
    parts = _inside(members, arrays)
    if not members:
        members = _numbered_arrays(arrays)
        parts = {member: {UNNAMED: arrays[member]} for member in members}
    if not members:
        _ask_about_siblings(path, arrays)
        return [Run("", dict(arrays))]
    owned = {array.name for part in parts.values() for array in part.values()}
    shared = {name: array for name, array in arrays.items() if name not in owned}
    runs = [Run(member, parts[member], shared) for member in members]
    if _are_frames(path, runs, axes):
        return [_one_run(path, runs)]
    return runs


def in_words(name: str) -> list[str]:
    """A key that sorts by the alphabet, numbers of up to 20 digits by their size."""
    parts = re.split(r"(\d+)", name.lower())
    return [part.zfill(20) if number % 2 else part for number, part in enumerate(parts)]


def _stem(name: str) -> str | None:
    """What a name is before its number, None if it has none."""
    before = name.rstrip("0123456789")
    return before.rstrip(" _.-") if before != name else None


def may_be_field(array: FileArray, name: str) -> bool:
    """Whether it could be frames, judged by its type, its axes and its name."""
    return array.dtype.kind == "f" and (
        len(array.shape) > 2
        or (len(array.shape) == 2 and max(array.shape) > 1 and not letter_of(name))
    )


def _inside(groups: Sequence[str], arrays: Arrays) -> dict[str, dict[str, FileArray]]:
    """Arrays of groups of one parent, by their names in the group."""
    parts: dict[str, dict[str, FileArray]] = {group: {} for group in groups}
    depth = groups[0].count("/") + 1 if groups else 0
    for name, array in arrays.items():
        words = name.split("/")
        group = "/".join(words[:depth])
        if group in parts and len(words) > depth:
            parts[group]["/".join(words[depth:])] = array
    return parts


def _numbered_groups(arrays: Arrays) -> list[str]:
    """Groups of one parent with a number each that hold a field of one name; by number."""
    found: dict[str, dict[str, set[str]]] = {}
    for name, array in arrays.items():
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1]):
            stem = _stem(part)
            if stem is not None and may_be_field(array, name) and letter_of(stem) in ("", "s", "t"):
                parent, group = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
                groups = found.setdefault(parent, {})
                groups.setdefault(group, set()).add("/".join(parts[depth + 1 :]))
                break
    for groups in found.values():
        fields = Counter(name for names in groups.values() for name in names)
        members = [g for g, names in groups.items() if any(fields[name] > 1 for name in names)]
        if len(members) > 1:
            return sorted(members, key=in_words)
    return []


def _numbered_arrays(arrays: Arrays) -> list[str]:
    """Fields of one group whose names are numbers, or runs or times with a number; by number."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, array in arrays.items():
        parent, _, last = name.rpartition("/")
        stem = _stem(last)
        if stem is None or not may_be_field(array, ""):
            continue
        stem = stem.lower()
        frame = letter_of(stem) == "t" and len(array.shape) == 2
        if stem in ("", *_RUNS) or stem.removesuffix("s") in _RUNS or frame:
            found.setdefault((parent, stem), []).append(name)
    members = next((names for names in found.values() if len(names) > 1), [])
    return sorted(members, key=in_words)


def _are_frames(path: Path, runs: Sequence[Run], axes: str | None) -> bool:
    """Whether groups or arrays hold a frame each, not a run."""
    stem = _stem(runs[0].name.rpartition("/")[2])
    if stem and letter_of(stem) == "t":
        return True
    first = next(array for name, array in runs[0].own.items() if may_be_field(array, name))
    thin = len(first.shape) == 3 and min(first.shape) <= MOST_CHANNELS
    if not (len(first.shape) == 2 or thin) or stem:
        return False
    if axes is not None:
        return len(axes.split(",")) > len(first.shape)
    places = find_places(runs[0].arrays)
    known = {letter_of_axis(name, places) for name in first.axes}
    known |= {letter for letter, place in places.items() if max(place.shape) in first.shape}
    if {"t", "y"} & known:
        return "y" in known and "t" not in known
    what, ways = ("runs of so few frames", "t,c,y,x or --axes t,y,x") if thin else (
        "runs over a line", "t,y,x or --axes t,x"
    )  # fmt: skip
    raise UserError(
        f"{path}: {runs[0].name}, {runs[1].name}, ... are {len(runs)} arrays {first.shape}: frames "
        f"of one run, or {what}? Say --axes {ways}"
    )


def _one_run(path: Path, frames: Sequence[Run]) -> Run:
    """Groups or arrays that are a frame each as one run."""
    parent = frames[0].name.rpartition("/")[0]
    own: dict[str, FileArray] = {}
    for name, array in frames[0].own.items():
        if not may_be_field(array, name):
            continue
        parts = [frame.own[name] for frame in frames if name in frame.own]
        if len({part.shape for part in parts}) > 1 or len(parts) < len(frames):
            raise UserError(
                f"{path}: {name} of {len(frames)} frames ({frames[0].name}, {frames[1].name}, ...) "
                "is missing in some or of several shapes; save frames on one grid"
            )
        whole = f"{parent}/{name}" if parent else name
        shape, axes = (len(parts), *array.shape), ("time", *(array.axes or [""] * len(array.shape)))
        own[name] = FileArray(whole, shape, array.dtype, _stacked(parts), axes, array.attributes)
    return Run("", own, frames[0].shared)


def _stacked(parts: Sequence[FileArray]) -> Callable[[Any], NDArray[Any]]:
    """Takes a part of arrays as of one array, the first axis along them."""

    def take(key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,) if key is not Ellipsis else (slice(None),)
        chosen = parts[keys[0]]
        inner = keys[1:] or ...
        if isinstance(chosen, FileArray):
            return chosen.take(inner)
        return np.stack([part.take(inner) for part in chosen])

    return take


def _ask_about_siblings(path: Path, arrays: Arrays) -> None:
    """Refuse fields of one name in groups without numbers: they may be runs or channels."""
    groups: dict[str, list[str]] = {}
    for name, array in arrays.items():
        last = name.rpartition("/")[2]
        if "/" in name and may_be_field(array, name) and last.lower() not in _PARTS:
            groups.setdefault(last, []).append(name)
    for last, names in groups.items():
        if len(names) > 1 and not letter_of(last):
            raise UserError(
                f"{path}: {last} is in {len(names)} groups: runs, or channels of one? Read a run "
                f"by --channels {names[0]}, channels by --channels {','.join(names[:4])}"
            )
