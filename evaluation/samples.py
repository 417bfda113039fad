"""Per-sample values beside a results file: what every score was averaged from.

One `.npz`; the arrays of record number i carry the prefix `i/`: `i/keys`,
`i/value/METRIC` (N,), `i/per_frame` (N, T) and, where a picture was kept,
`i/picture/...` of the first sample.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from evaluation.metrics import MetricName


@dataclass(frozen=True)
class Picture:
    """A few frames of the first sample.

    Attributes:
        frames: which predicted frames, counted from 1.
        truth: (F, C, H, W), the scored channels on the scored points.
        prediction: of the same shape.
        fluid: (H, W), 1 in the fluid.
    """

    frames: NDArray[np.int64]
    truth: NDArray[np.float32]
    prediction: NDArray[np.float32]
    fluid: NDArray[np.float32]


@dataclass(frozen=True)
class SampleValues:
    """What a run on one task measured.

    Attributes:
        keys: name of every trajectory and first frame of its window, "KEY@START" (N,); the
            windows of one trajectory stand side by side.
        values: per metric (N,).
        per_frame: L2RE of every sample and frame (N, T).
        picture: of the first sample, if kept.
    """

    keys: tuple[str, ...]
    values: dict[MetricName, NDArray[np.float64]]
    per_frame: NDArray[np.float64]
    picture: Picture | None = None

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """As named arrays, for a file."""
        named: dict[str, NDArray[Any]] = {
            f"{prefix}/keys": np.array(self.keys),
            f"{prefix}/per_frame": self.per_frame,
        }
        named |= {f"{prefix}/value/{name}": array for name, array in self.values.items()}
        if self.picture is not None:
            named |= {f"{prefix}/picture/{k}": v for k, v in vars(self.picture).items()}
        return named


def read_samples(path: Path, position: int) -> SampleValues:
    """The values behind one record.

    Args:
        path: the samples file.
        position: number of the record in its results file.

    Raises:
        UserError: the file is missing or does not hold that record.
    """
    prefix = f"{position}/"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {
                name.removeprefix(prefix): stored[name]
                for name in stored.files
                if name.startswith(prefix)
            }
        picture = {k: arrays[f"picture/{k}"] for k in Picture.__annotations__ if _pictured(arrays)}
        return SampleValues(
            keys=tuple(map(str, arrays["keys"])),
            values={
                name.removeprefix("value/"): array
                for name, array in arrays.items()
                if name.startswith("value/")
            },
            per_frame=arrays["per_frame"],
            picture=Picture(**picture) if picture else None,
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: no readable values of record {position} ({error}); evaluate again"
        ) from None


def _pictured(arrays: dict[str, NDArray[Any]]) -> bool:
    return "picture/truth" in arrays
