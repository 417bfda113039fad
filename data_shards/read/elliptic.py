"""Reader of steady problems with periodic sides (`_{train,val,test}_*.h5`): Poisson and others.

In: one HDF5 file per split, `fields` float32 (N, 2, y, x) = source and solution -
rows are y here, the published generator works on numpy's default mesh grids -
and `tensor` (N, K), coefficients of the equation: k11, k22, k12 (Poisson); the
same and v1, v2 (advection-diffusion); the diffusion and omega (Helmholtz); for
advection-diffusion `other` (N, 1), the ratio of the two terms of each sample.
Out: one frame, fields (1, 2, y, x); coefficients as parameters, with the ratio of
the diffusion's eigenvalues. The time step of a steady state means nothing and is 1.
Source: github.com/ShashankSubramanian/neuraloperators-TL-scaling, which names
files and axes; samples are sorted by the source's sparsity.

Options of the card: `coefficients` names the columns of `tensor`, `other` the
parameter that this dataset holds.
"""

from pathlib import Path

import h5py
import numpy as np

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.hdf5 import find_dataset
from data_shards.read import labels
from data_shards.read.raw import boundary_of, published
from data_shards.read.sequence import FileSequence, understood
from data_shards.read.split_name import file_split, proved
from data_shards.trajectory import Trajectory

WORDS: dict[Split, str] = {"train": "_train_", "validation": "_val_", "test": "_test_"}
STEADY_DT_S = 1.0
_TENSOR = {"k11", "k22", "k12"}
_SORTED = (
    "samples are sorted by the sparsity of the source, as the published generator writes them: "
    "training shuffles them, but --limit keeps those with the most Gaussians alone"
)


class EllipticOptions(Config):
    """Reader's options on the card."""

    coefficients: tuple[str, ...] = ("k11", "k22", "k12")
    other: str | None = None  # measured of each sample; the card's range is what it was drawn from


class EllipticCorpus:
    """One split's file; see `RawCorpus`."""

    notes: tuple[str, ...] = (_SORTED,)

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Open a file; see `open_corpus`."""
        where = f"card {card.name}, published.options"
        self._options = EllipticOptions.read(published(card).options, where)
        if card.frames != 1 or len(card.channels) != 2 or card.extent is None:
            raise UserError(
                f"card {card.name}: has {card.frames} frames, {len(card.channels)} channels and "
                f"extent {card.extent}; wanted 1 frame, source and solution, and the domain"
            )
        self._card, self._extent = card, card.extent
        self.split_known, file = _file(card, split, path)
        self.sources: tuple[Path, ...] = (file,)
        self._files = FileSequence(self.sources, self._count)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, number: int) -> Trajectory:
        """The number-th problem of the split."""
        file, path, local = self._files.place(number)
        with understood(path):
            fields = np.asarray(file["fields"][local], np.float32)
            values = file["tensor"][local]
            measured = {name: float(file["other"][local, 0]) for name in self._measured}
        found = dict(zip(self._options.coefficients, map(float, values), strict=True))
        if found.keys() >= _TENSOR:
            found["anisotropy"] = anisotropy(*(found[name] for name in ("k11", "k22", "k12")))
        return Trajectory(
            fields=fields[None],
            corpus=self._card.name,
            index=number,
            seed=-1,
            dt_s=STEADY_DT_S,
            extent=self._extent,
            boundary=boundary_of(self._card),
            parameters={**labels.parameters(self._card, found, path), **measured},
        )

    def close(self) -> None:
        """Release the file."""
        self._files.close()

    @property
    def _measured(self) -> tuple[str, ...]:
        return () if self._options.other is None else (self._options.other,)

    def _count(self, file: h5py.File, path: Path) -> int:
        fields = find_dataset(file, "fields", ("N", "C", "y", "x")).shape
        tensor = find_dataset(file, "tensor", ("N", "K")).shape
        wanted = (fields[0], 2, *self._card.native_grid)
        names = self._options.coefficients
        if fields != wanted or tensor != (fields[0], len(names)):
            raise UserError(
                f"{path}: fields are {fields} and tensor {tensor}, those of {self._card.name} "
                f"{wanted} and {(fields[0], len(names))} ({', '.join(names)}); choose the card "
                "that the file belongs to"
            )
        if self._measured:
            other = find_dataset(file, "other", ("N", "1")).shape
            if other != (fields[0], 1):
                raise UserError(
                    f"{path}: other is {other}, wanted {(fields[0], 1)}: {self._options.other} of "
                    "each sample; write the file again"
                )
        return int(fields[0])


def anisotropy(k11: float, k22: float, k12: float) -> float:
    """Larger eigenvalue of the symmetric tensor over the smaller one."""
    mean, radius = (k11 + k22) / 2, np.hypot((k11 - k22) / 2, k12)
    return float((mean + radius) / (mean - radius)) if mean > radius else float("inf")


def _file(card: CorpusCard, split: Split, path: Path) -> tuple[bool, Path]:
    """Whether its name says that it is the split's, and the split's file.

    In a folder that is the published file, or else the only one whose name says the split: the
    generator names files after the ranges that it is run with.
    """
    if path.is_file():
        return proved(split, path), path
    names = [file.name for file in published(card).files if WORDS[split] in file.name]
    found = [path / name for name in names if (path / name).is_file()]
    found = found or [file for file in sorted(path.glob("*.h5")) if file_split(file) == split]
    if len(found) != 1:
        wanted = " or ".join(names) or f"*{WORDS[split]}*.h5"
        raise UserError(
            f"{path}: holds no {wanted}, the {split} split of {card.name}, and {len(found)} other "
            f"files that say {split}; wanted 1, or the file itself"
        )
    return True, found[0]


def open_corpus(card: CorpusCard, split: Split, path: Path) -> EllipticCorpus:
    """Open the published file of a split.

    Raises:
        UserError: the file is missing, damaged or other than the card says.
    """
    return EllipticCorpus(card, split, path)
