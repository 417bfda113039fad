"""Which axis of an array is which: shapes, names and coordinates in, one reading out.

Letters: s samples (runs), t time, y rows, x columns, c channels. Every order of letters that
an array's number of axes allows is a reading and is weighed by what speaks for it; the best
one is taken. Where two are equally good, nobody is guessed for: the candidates are named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from data_shards.errors import UserError

LETTERS = {"s": "sample", "t": "time", "y": "rows", "x": "columns", "c": "channels"}
MOST_CHANNELS = 8  # an axis of more entries is hardly one of channels
FEWEST_CELLS = 4
MOST_ASPECT = 8  # of a plane
_SETS = {3: ("tyx",), 4: ("tyxc", "styx"), 5: ("styxc",)}
_NAMES = {
    "t": ("t", "time", "times", "tcoord", "frame", "frames", "step", "snapshot", "snapshots"),
    "y": ("y", "lat", "latitude", "row", "rows", "ycoord", "yc", "ny", "j"),
    "x": ("x", "lon", "longitude", "column", "columns", "col", "xcoord", "xc", "nx", "i"),
    "z": ("z", "lev", "level", "depth", "zcoord", "nz", "k", "slice", "plev"),
    "c": ("c", "channel", "channels", "component", "components", "variable", "field", "var"),
    "s": ("s", "sample", "samples", "batch", "run", "trajectory", "ensemble", "member", "n"),
}


@dataclass(frozen=True)
class Evidence:
    """What is known of an array's axes beside its shape.

    Attributes:
        names: of the axes, as the file gives them; empty for unknown ones.
        lengths: letter -> entries of the coordinate of this letter.
        channels: how many there are, where the user has named them.
        one_each: every channel has an array of its own, so that no axis is one of channels.
        frames: fewest that make sense.
        samples: the user has named a sample, so that there is an axis of them.
    """

    names: tuple[str, ...] = ()
    lengths: Mapping[str, int] | None = None
    channels: int | None = None
    one_each: bool = False
    frames: int = 2
    samples: bool = False


def letter_of(name: str) -> str:
    """What an axis or a coordinate of this name is: one of s t y x c z, or empty."""
    plain = name.rpartition("/")[2].lower().replace("-", "").replace("_", "")
    plain = plain.removesuffix("inate").removesuffix("coordinate")
    plain = plain.removesuffix("dim") if len(plain) > 3 else plain
    return next((letter for letter, names in _NAMES.items() if plain in names), "")


def read_axes(text: str, shape: tuple[int, ...], where: str, line: bool = False) -> str:
    """The user's own word on the axes: "t,y,x,c"; of a line, "t,x" will do.

    Raises:
        UserError: unknown or missing letters, or another number of them than axes.
    """
    letters = "".join(part.strip().lower() for part in text.split(","))
    wanted = "wanted letters of s (sample), t, y, x, c (channel), with t, y and x among them"
    if "z" in letters:
        raise UserError(
            f"--axes {text}: {where} has three dimensions of space, the model takes planes; "
            "save a slice"
        )
    if set(letters) - set(LETTERS) or len(set(letters)) < len(letters):
        raise UserError(f"--axes {text}: {wanted}, each once")
    if not set("tx" if line else "tyx") <= set(letters):
        raise UserError(f"--axes {text}: {wanted}")
    if len(letters) != len(shape):
        raise UserError(f"--axes {text}: {len(letters)} letters, {where} has {_shown(shape)}")
    return letters


def guess_axes(shape: tuple[int, ...], evidence: Evidence, where: str) -> str:
    """The one best reading of an array.

    Args:
        shape: of the array.
        evidence: what else is known.
        where: file and array, for the message.

    Returns:
        A letter per axis.

    Raises:
        UserError: one or three dimensions of space, or several equally good readings.
    """
    deep = [n for n, name in enumerate(evidence.names) if letter_of(name) == "z"]
    if len(shape) > 3 and any(shape[axis] > 1 for axis in deep):
        raise UserError(
            f"{where}: {_shown(shape)} over ({', '.join(evidence.names)}): three dimensions of "
            "space, the model takes planes; save a slice"
        )
    if len(shape) not in _SETS:
        fault = "one dimension of space at most" if len(shape) < 3 else "too many axes"
        raise UserError(
            f"{where}: {_shown(shape)} is {fault}; wanted frames of planes: (t, y, x), with an "
            "axis of channels or samples or both"
        )
    weighed = {
        "".join(order): _weight("".join(order), shape, evidence)
        for letters in _SETS[len(shape)]
        for order in permutations(letters)
    }
    best = max(weighed.values())
    found = _distinct([order for order, weight in weighed.items() if weight == best], shape)
    if len(found) == 1:
        return found[0]
    raise UserError(
        f"{where}: {_shown(shape)} can be read in {len(found)} ways; say which by "
        + " or ".join(f"--axes {','.join(order)} ({_told(order, shape)})" for order in found[:4])
    )


def _weight(order: str, shape: tuple[int, ...], evidence: Evidence) -> int:
    size = dict(zip(order, shape, strict=True))
    return (
        sum(_weight_of_name(a, n) for a, n in zip(order, evidence.names, strict=False))
        + sum(_weight_of_length(a, size, evidence) for a in "tyx")
        + _weight_of_sizes(size, evidence)
        + _weight_of_order(order)
    )


def _weight_of_name(letter: str, name: str) -> int:
    known = letter_of(name)
    return 0 if not known else 100 if known == letter else -100


def _weight_of_length(letter: str, size: Mapping[str, int], evidence: Evidence) -> int:
    length = (evidence.lengths or {}).get(letter)
    if length is None:
        return 0
    # Some files give the ends of cells or intervals, one more than there are of these.
    return 10 if length == size[letter] else 8 if length == size[letter] + 1 else -10


def _weight_of_sizes(size: Mapping[str, int], evidence: Evidence) -> int:
    rows, columns = size["y"], size["x"]
    weight = 2 if rows == columns else 0
    if min(rows, columns) < FEWEST_CELLS:
        weight -= 20
    if max(rows, columns) > MOST_ASPECT * min(rows, columns):
        weight -= 4
    if size["t"] < 2:
        weight -= 15
    elif len(size) > 3 and size["t"] < evidence.frames:
        weight -= 1  # tells runs from frames, but makes no rows of frames that are too few
    if evidence.samples and "s" not in size:
        weight -= 30
    if "c" in size:
        weight -= 20 * (size["c"] > MOST_CHANNELS)
        weight -= 25 * evidence.one_each
        if evidence.channels is not None:
            weight += 10 if size["c"] == evidence.channels else -30
    elif evidence.channels is not None and evidence.channels > 1 and not evidence.one_each:
        weight -= 30
    return weight


def _weight_of_order(order: str) -> int:
    """Habits: rows before columns, time and channels on one side of the plane, samples first."""
    weight = -1 if order.index("x") < order.index("y") else 0
    if abs(order.index("x") - order.index("y")) > 1:
        weight -= 3
    if "s" in order and order[0] != "s":
        weight -= 3
    return weight


def _distinct(orders: Sequence[str], shape: tuple[int, ...]) -> list[str]:
    """Readings that differ in more than what an axis of one entry is called."""

    def essence(order: str) -> str:
        pairs = zip(order, shape, strict=True)
        return "".join("-" if size == 1 and a in "sc" else a for a, size in pairs)

    kept: dict[str, str] = {}
    for order in sorted(orders, reverse=True):  # a sample rather than a channel, if it is all one
        kept.setdefault(essence(order), order)
    return list(kept.values())


def _told(order: str, shape: tuple[int, ...]) -> str:
    size = dict(zip(order, shape, strict=True))
    words = f"{size['t']} frames of {size['y']} x {size['x']}"
    if size.get("c", 1) > 1:
        words += f", {size['c']} channels"
    if size.get("s", 1) > 1:
        words += f", {size['s']} samples"
    return words


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
