"""Predictions beside a results file: written sample by sample, read back the same way.

One `.npz` per record; its arrays are called by the samples' keys and hold the
scored channels on the scored grid, (T, C, H, W).
"""

import zipfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from data_shards.atomic import new_file
from data_shards.errors import UserError
from evaluation.records.samples import DAMAGE

Precision = Literal["float16", "float32"]


class PredictionWriter:
    """A file of predictions that grows; it gets its name when it is whole."""

    def __init__(self, path: Path, precision: Precision) -> None:
        """Begin a file.

        Args:
            path: what it is called in the end.
            precision: how values are stored; samples beyond the range of float16 stay float32.

        Raises:
            UserError: it cannot be made.
        """
        self._precision = precision
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as opening:
                partial = opening.enter_context(new_file(path))
                self._archive = opening.enter_context(zipfile.ZipFile(partial, "w"))
                self._open = opening.pop_all()
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error})") from None

    def add(self, key: str, prediction_TCHW: NDArray[np.float32]) -> None:
        """One sample."""
        with self._archive.open(f"{key}.npy", "w", force_zip64=True) as member:
            np.save(member, self._rounded(prediction_TCHW), allow_pickle=False)

    def _rounded(self, prediction: NDArray[np.float32]) -> NDArray[Any]:
        if self._precision == "float32":
            return prediction
        finite = prediction[np.isfinite(prediction)]
        fits = finite.size == 0 or np.abs(finite).max() <= np.finfo(np.float16).max
        return prediction.astype(np.float16) if fits else prediction

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)


class PredictionReader:
    """Predictions by the keys of samples; nothing is read until it is asked for."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            UserError: it is missing or damaged.
        """
        self._path = path
        self._open = ExitStack()
        try:
            file = self._open.enter_context(path.open("rb"))
            self._arrays = self._open.enter_context(np.load(file, allow_pickle=False))
        except DAMAGE as error:
            self._open.close()
            raise UserError(
                f"{path}: no readable predictions ({error}); evaluate with --save-predictions"
            ) from None

    def read(self, key: str) -> NDArray[np.float32]:
        """Prediction of one sample (T, C, H, W).

        Raises:
            UserError: it is not there, or damaged.
        """
        try:
            stored: NDArray[Any] = self._arrays[key]
        except DAMAGE as error:
            raise UserError(
                f"{self._path}: no readable prediction of {key} ({error}); evaluate again"
            ) from None
        return stored.astype(np.float32, copy=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
