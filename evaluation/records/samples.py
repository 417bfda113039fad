"""Per-sample values beside a results file: what every score was averaged from.

One `.npz`; the arrays of record number i carry the prefix `i/`: `i/of`, what the record
is of, `i/keys`, `i/value/METRIC` (N,), `i/per_frame` (N, T), on a rung of a ladder
`i/parameter/NAME` (N,) and, where a picture was kept, `i/picture/...` of the first sample.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from evaluation.metrics.names import MetricName
from evaluation.records.record import Record, identity

# What numpy's reader of archives says of a file that is cut short or has changed.
DAMAGE = (OSError, EOFError, RuntimeError, ValueError, LookupError, SyntaxError, TokenError,
          BadZipFile, zlib.error)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A few frames of the first sample.

    Attributes:
        frames: which predicted frames, counted from 1.
        truth: (F, C, H, W), the scored channels on the scored points.
        prediction: of the same shape.
        fluid: (H, W), 1 in the fluid.
        residual: (T, H, W), what the equation of evolution leaves of every predicted frame, over
            the duration, in the size of the truth; None where no equation is known.
        boxes: of the model's constraint along time and each axis; None without one.
    """

    frames: NDArray[np.int64]
    truth: NDArray[np.float32]
    prediction: NDArray[np.float32]
    fluid: NDArray[np.float32]
    residual: NDArray[np.float32] | None = None
    boxes: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class SampleValues:
    """What a run on one task measured.

    Attributes:
        keys: name of every trajectory and first frame of its window, "KEY@START" (N,); the
            windows of one trajectory stand side by side.
        values: per metric (N,).
        per_frame: L2RE of every sample and frame (N, T).
        picture: of the first sample, if kept.
        parameters: of a rung of a ladder, the ladder's parameter by name (N,); else nothing.
    """

    keys: tuple[str, ...]
    values: dict[MetricName, NDArray[np.float64]]
    per_frame: NDArray[np.float64]
    picture: Picture | None = None
    parameters: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """As named arrays, for a file."""
        named: dict[str, NDArray[Any]] = {
            f"{prefix}/keys": np.array(self.keys),
            f"{prefix}/per_frame": self.per_frame,
        }
        named |= {f"{prefix}/value/{name}": array for name, array in self.values.items()}
        named |= {f"{prefix}/parameter/{name}": array for name, array in self.parameters.items()}
        if self.picture is not None:
            own = {key: part for key, part in vars(self.picture).items() if part is not None}
            named |= {f"{prefix}/picture/{key}": part for key, part in own.items()}
        return named


def read_samples(path: Path, position: int, record: Record | None = None) -> SampleValues:
    """The values behind one record.

    Args:
        path: the samples file.
        position: number of the record in its results file.
        record: itself, whose values are then looked for by what it is of: a run that was
            killed between its two files leaves samples of one record more.

    Raises:
        UserError: the file is missing, is damaged, or does not hold that record.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            prefix = f"{position if record is None else _place(stored, position, record)}/"
            arrays = _below(prefix, stored)
        picture = {k: arrays.get(f"picture/{k}") for k in Picture.__annotations__}
        samples = SampleValues(
            keys=tuple(map(str, arrays["keys"])),
            values=_below("value/", arrays),
            per_frame=arrays["per_frame"],
            picture=_picture(picture),
            parameters=_below("parameter/", arrays),
        )
        _check(samples, record)
        return samples
    except DAMAGE as error:
        raise UserError(
            f"{path}: no readable values of record {position} ({error}); evaluate again"
        ) from None


def _below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays whose names start with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def names_of(record: Record) -> NDArray[np.str_]:
    """What a record is of, as an array for the file."""
    return np.array([str(part) for part in identity(record)])


def _place(stored: Any, position: int, record: Record) -> int:
    """The number that a record's values carry."""
    if f"{position}/of" not in stored.files:  # earlier files said nothing
        return position
    wanted = names_of(record).tolist()
    numbers = [int(name.partition("/")[0]) for name in stored.files if name.endswith("/of")]
    for number in (position, *numbers):
        if stored[f"{number}/of"].tolist() == wanted:
            return number
    raise ValueError("its values are of other records")


def _check(samples: SampleValues, record: Record | None) -> None:
    count = len(samples.keys)
    columns: Sequence[NDArray[Any]] = (
        samples.per_frame,
        *samples.values.values(),
        *samples.parameters.values(),
    )
    if record is not None:
        if missing := sorted(set(record.scores) - set(samples.values)):
            raise ValueError(f"no values of {', '.join(missing)}")
        if count != record.num_samples:
            raise ValueError(f"{count} samples, the record has {record.num_samples}")
    if any(len(column) != count or column.dtype.kind not in "fiu" for column in columns):
        raise ValueError("arrays of different lengths, or of no numbers")
    if samples.per_frame.ndim != 2 or any(column.ndim != 1 for column in columns[1:]):
        raise ValueError("a value of more or fewer axes than samples have")


def _picture(parts: dict[str, Any]) -> Picture | None:
    """A stored picture, whose parts fit each other, as a drawing takes for granted."""
    truth = parts["truth"]
    if truth is None:
        return None
    if missing := [key for key in ("frames", "prediction", "fluid") if parts[key] is None]:
        raise ValueError(f"a picture without {', '.join(missing)}")
    if truth.ndim != 4 or 0 in truth.shape:
        raise ValueError(f"a picture of {truth.shape}, wanted (F, C, H, W)")
    plane = truth.shape[2:]
    wanted = {"frames": truth.shape[:1], "prediction": truth.shape, "fluid": plane}
    if parts["residual"] is not None:
        wanted["residual"] = (*parts["residual"].shape[:1], *plane)
    if parts["boxes"] is not None:
        wanted["boxes"] = (1 + sum(side > 1 for side in plane),)
    for name, shape in wanted.items():
        if parts[name].shape != shape or parts[name].dtype.kind not in "fiu":
            raise ValueError(f"a picture's {name} is {parts[name].shape}, wanted numbers {shape}")
    if (parts["boxes"] is not None) and (parts["boxes"] < 1).any():
        raise ValueError("a picture of fewer than one box")
    return Picture(**parts)
