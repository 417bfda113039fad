"""Fingerprints of corpora: routing probabilities in, a small JSON file out.

Axes: K corpora, N windows, L blocks, E routed experts.
The file lies beside the weights of a checkpoint (`fingerprints.json`), so that whoever has
the checkpoint can tell which corpus a simulation of their own looks like.
Source: MoE-POT (NeurIPS 2025), App. B.4: the mean routing distribution of a corpus.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from data_shards.atomic import replace_file
from data_shards.card import Split
from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.records.kinds import Kind
from evaluation.routing.routes import Routes
from evaluation.routing.task import WindowStart

FINGERPRINTS = "fingerprints.json"

# Float32 softmax sums to one within 1e-6; decimal text loses no more.
_SUM_TOLERANCE = 1e-4


def _remedy(checkpoint: str = "CHECKPOINT") -> str:
    return (
        f"make them with `foundation routing {checkpoint} --shards SHARDS --output routing.json "
        "--save-fingerprints`, SHARDS being those of its training"
    )


class CorpusFingerprint(Config):
    """The mean routing distribution of one corpus."""

    corpus: str
    split: Split
    windows: PositiveInt  # that it was averaged over
    trajectories: PositiveInt  # that they are of
    shards: str  # fingerprint of the shards
    probabilities: tuple[tuple[float, ...], ...]  # (L, E)

    @model_validator(mode="after")
    def _distributions(self) -> Self:
        for block, row in enumerate(self.probabilities):
            if min(row, default=-1.0) < 0 or abs(sum(row) - 1) > _SUM_TOLERANCE:
                raise ValueError(
                    f"{self.corpus}, block {block}: not a distribution (sum {sum(row):.6g}); "
                    "make the fingerprints again"
                )
        return self


class Fingerprints(Config):
    """Those of several corpora under one model."""

    format: Literal["foundation-fingerprints"] = "foundation-fingerprints"
    version: Literal[1] = 1
    model: str  # fingerprint of configuration and weights
    temperature: PositiveFloat  # of the full softmax
    context_frames: PositiveInt  # of a window
    start: WindowStart
    corpora: tuple[CorpusFingerprint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _same_shape(self) -> Self:
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"a corpus twice among {', '.join(names)}; keep one of them")
        if len({tuple(map(len, entry.probabilities)) for entry in self.corpora}) > 1:
            raise ValueError("corpora differ in blocks or experts; they are not of one model")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.corpus for entry in self.corpora)

    @property
    def probabilities_KLE(self) -> NDArray[np.float64]:
        return np.array([entry.probabilities for entry in self.corpora])


FINGERPRINT_FILES = Kind(Fingerprints, remedy=_remedy())


def fingerprint(routes: Routes, split: Split, shards: str) -> CorpusFingerprint:
    """Mean of the distributions of a corpus's windows.

    Args:
        routes: of the windows.
        split: that they were drawn from.
        shards: fingerprint of that split's shards.
    """
    mean_LE = routes.probabilities_NLE.astype(np.float64).mean(axis=0)
    return CorpusFingerprint(
        corpus=routes.corpus,
        split=split,
        windows=len(routes),
        trajectories=routes.num_trajectories,
        shards=shards,
        probabilities=tuple(tuple(row) for row in mean_LE.tolist()),
    )


def save_fingerprints(fingerprints: Fingerprints, folder: Path) -> Path:
    """Write `fingerprints.json` into a checkpoint folder, in one step.

    Raises:
        UserError: the disk refuses.
    """
    path = folder / FINGERPRINTS
    try:
        replace_file(path, f"{fingerprints.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error}); fix that and repeat") from None
    return path


def read_fingerprints(folder: Path, model: str) -> Fingerprints:
    """The fingerprints in a checkpoint folder.

    Args:
        folder: of the checkpoint.
        model: fingerprint of its configuration and weights, which they must be of.

    Raises:
        UserError: there are none, they are not readable, or they are of another model.
    """
    path = folder / FINGERPRINTS
    if not path.exists():
        raise UserError(f"{path}: no such file; {_remedy(str(folder))}")
    found = FINGERPRINT_FILES.require(path)
    if found.model != model:
        raise UserError(
            f"{path}: of model {found.model[:10]}, this checkpoint is {model[:10]}; "
            f"{_remedy(str(folder))}"
        )
    return found


def stacked(fingerprints: Sequence[CorpusFingerprint]) -> NDArray[np.float64]:
    """(K, L, E) of some corpora."""
    return np.array([entry.probabilities for entry in fingerprints])
