"""Which axis of an array is which: shapes, names and coordinates in, one reading out.

Letters: s samples (runs), t time, y rows, x columns, c channels. Every order of letters that
an array's number of axes allows is a reading and is weighed by what speaks for it; the best
one is taken. Where two are equally good, nobody is guessed for: the candidates are named.
Lines, which have no rows, are read as well: of two axes, or where t and x are known, y is not,
and an axis that nothing speaks for would have to be the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from data_shards.errors import UserError

LETTERS = {"s": "sample", "t": "time", "y": "rows", "x": "columns", "c": "channels"}
MOST_CHANNELS = 8  # an axis of more entries is hardly one of channels
FEWEST_CELLS = 4
MOST_ASPECT = 8  # of a plane
SUPPORTED = (
    "wanted frames of planes, (t, y, x), or of lines, (t, x), with an axis of channels or samples "
    "or both; of three dimensions of space save a slice"
)
_SETS = {3: ("tyx",), 4: ("tyxc", "styx"), 5: ("styxc",)}
_LINES = {2: ("tx",), 3: ("txc", "stx"), 4: ("stxc",)}
_NAMES = {
    "t": (
        "t", "time", "times", "tcoord", "frame", "frames", "step", "steps", "timestep", "timesteps",
        "snapshot", "snapshots", "iteration", "iterations",
    ),
    "y": ("y", "lat", "latitude", "row", "rows", "ycoord", "yc", "ny", "j"),
    "x": ("x", "lon", "longitude", "column", "columns", "col", "xcoord", "xc", "nx", "i"),
    "z": ("z", "lev", "level", "depth", "zcoord", "nz", "k", "slice", "plev", "layer"),
    "c": (
        "c", "channel", "channels", "component", "components", "variable", "field", "var",
        "species",
    ),
    "s": (
        "s", "sample", "samples", "batch", "run", "runs", "trajectory", "ensemble", "member", "n",
        "simulation", "realization", "seed",
    ),
}  # fmt: skip


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
        planes: something else in the file is a plane, as a mask, so that there are rows.
    """

    names: tuple[str, ...] = ()
    lengths: Mapping[str, int] | None = None
    channels: int | None = None
    one_each: bool = False
    frames: int = 2
    samples: bool = False
    planes: bool = False

    @property
    def known(self) -> set[str]:
        """Letters that a name or a coordinate speaks for."""
        named = {letter_of(name) for name in self.names}
        return (named | set(self.lengths or {}) | ({"y"} if self.planes else set())) - {""}


def letter_of(name: str) -> str:
    """What an axis or a coordinate of this name is: one of s t y x c z, or empty."""
    plain = name.rpartition("/")[2].lower().replace("-", "").replace("_", "")
    plain = plain.removesuffix("inate").removesuffix("coordinate")
    plain = plain.removesuffix("dim") if len(plain) > 3 else plain
    return next((letter for letter, names in _NAMES.items() if plain in names), "")


def read_axes(text: str, shape: tuple[int, ...], where: str) -> str:
    """The user's own word on the axes: "t,y,x,c", or "t,x" of a line.

    Raises:
        UserError: unknown or missing letters, or another number of them than axes.
    """
    letters = "".join(part.strip().lower() for part in text.split(","))
    wanted = (
        "wanted letters of s (sample), t, y, x, c (channel), with t and x among them, and y unless "
        "it is a line"
    )
    if "z" in letters:
        raise UserError(
            f"--axes {text}: {where} has three dimensions of space, the model takes planes; "
            "save a slice"
        )
    if set(letters) - set(LETTERS) or len(set(letters)) < len(letters):
        raise UserError(f"--axes {text}: {wanted}, each once")
    if not set("tx") <= set(letters):
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
        A letter per axis; no y for a line.

    Raises:
        UserError: three dimensions of space, no time, or several equally good readings.
    """
    deep = [n for n, name in enumerate(evidence.names) if letter_of(name) == "z"]
    if any(shape[axis] > 1 for axis in deep) and len(shape) > 3:
        raise UserError(
            f"{where}: {_shown(shape)} over ({', '.join(evidence.names)}): three dimensions of "
            "space, the model takes planes; save a slice"
        )
    orders = _readings(len(shape), evidence)
    if not orders:
        raise UserError(f"{where}: {_shown(shape)} is no frames of planes; {SUPPORTED}")
    weighed = {order: _weight(order, shape, evidence) for order in orders}
    best = max(weighed.values())
    found = _distinct([order for order, weight in weighed.items() if weight == best], shape)
    ways = " or ".join(f"--axes {','.join(order)} ({_told(order, shape)})" for order in found[:4])
    if len(shape) == 2 and not {"t", "x"} & evidence.known:
        raise UserError(
            f"{where}: {_shown(shape)} is no frames of planes; {SUPPORTED}; if it is a line over "
            f"time, {ways}"
        )
    box = _may_be_box(shape, evidence)
    if len(found) > 1 or box:
        space = "; if these are three dimensions of space, save a slice" if box else ""
        raise UserError(
            f"{where}: {_shown(shape)} can be read in {len(found) + box} ways; say which by "
            f"{ways}{space}"
        )
    return found[0]


def _may_be_box(shape: tuple[int, ...], evidence: Evidence) -> bool:
    """Whether three axes side by side are as long as each other, and no name says what they are."""
    named = {letter_of(name) for name in evidence.names}
    cubes = [n for n, m, k in zip(shape, shape[1:], shape[2:], strict=False) if n == m == k]
    return len(shape) > 3 and max(cubes, default=0) > MOST_CHANNELS and not {"y", "x"} <= named


def _readings(count: int, evidence: Evidence) -> list[str]:
    """Every order of letters that so many axes may have."""
    known = evidence.known
    sets = list(_SETS.get(count, ()))
    if "y" not in known and (count == 2 or {"t", "x"} <= known):
        sets += _LINES.get(count, ())
    return ["".join(order) for letters in sets for order in permutations(letters)]


def _weight(order: str, shape: tuple[int, ...], evidence: Evidence) -> int:
    size = dict(zip(order, shape, strict=True))
    known = evidence.known
    return (
        sum(_weight_of_name(a, n) for a, n in zip(order, evidence.names, strict=False))
        + sum(_weight_of_length(a, size, evidence) for a in size.keys() & set("tyx"))
        + _weight_of_sizes(size, evidence)
        + _weight_of_order(order)
        - 3 * ("y" in size and "y" not in known and {"t", "x"} <= known)
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
    plane = [size[letter] for letter in "yx" if letter in size]
    weight = 2 if len(plane) == 2 and plane[0] == plane[1] else 0
    if min(plane) < FEWEST_CELLS:
        weight -= 20
    if len(plane) == 2 and max(plane) > MOST_ASPECT * min(plane):
        weight -= 4
    if size["t"] < 2:
        weight -= 15
    elif {"s", "c"} & set(size) and size["t"] < evidence.frames:
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
    weight = 0
    if "y" in order:
        weight -= order.index("x") < order.index("y")
        weight -= 3 * (abs(order.index("x") - order.index("y")) > 1)
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
    words = f"{size['t']} frames of {told_grid(size)}"
    if size.get("c", 1) > 1:
        words += f", {size['c']} channels"
    if size.get("s", 1) > 1:
        words += f", {size['s']} samples"
    return words


def told_grid(size: Mapping[str, int]) -> str:
    """Rows and columns in words."""
    return f"{size['y']} x {size['x']}" if "y" in size else f"a line of {size['x']}"


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
