"""From published raw files to shards: one split of one corpus, streamed.

A trajectory is read, perhaps resized, written and forgotten, so memory does
not grow with the files. Files whose checksum is published are proved first: a
damaged download is found before hours of reading. A conversion that was killed
goes on where it was when it is started again with the same settings and the
same files: the same places and times of change, not only names and sizes.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.read import open_raw
from data_shards.read.made_by import told_by_fields
from data_shards.read.raw import Raw, RawCorpus, published
from data_shards.shards.manifest import CorpusEntry, Provenance, SourceFile, Storage
from data_shards.shards.writer import SHARD_BYTES, write_corpus
from data_shards.trajectory import Trajectory

ItemT = TypeVar("ItemT")
MEBIBYTE = 1 << 20
SOLID_BELOW = 0.5  # of a resized cell's fluid fraction

_computed: dict[tuple[Path, int, int], str] = {}  # file, bytes, time of change: md5


class Watch(Protocol):
    """Passes items on while telling the user how far the work is, as a progress bar does."""

    def __call__(
        self, items: Iterable[ItemT], *, total: int, label: str, unit: str = "it"
    ) -> Iterable[ItemT]:
        """The items, unchanged."""
        ...


def _unwatched(
    items: Iterable[ItemT], *, total: int, label: str, unit: str = "it"
) -> Iterable[ItemT]:
    return items


@dataclass(frozen=True)
class Plan:
    """What a conversion would give.

    Attributes:
        count: trajectories.
        provenance: reader, raw files and grid; checksums of the files are not known yet.
        split_known: whether the files say which split they are, or the card does; otherwise
            every split would be made of the same trajectories.
        notes: what the user should know of the files, a line each.
    """

    count: int
    provenance: Provenance
    split_known: bool
    notes: tuple[str, ...]


def plan(
    card: CorpusCard,
    split: Split,
    raw: Raw,
    *,
    limit: int | None = None,
    resolution: int | None = None,
) -> Plan:
    """What `convert` would give, from a first look into the files; arguments and errors are its."""
    with closing(open_raw(card, split, raw, limit=limit)) as corpus:
        return _plan(corpus, card, split, raw, limit, resolution)


def program_of(
    card: CorpusCard, split: Split, raw: Raw, *, limit: int | None = None
) -> tuple[str, ...]:
    """What the fields say of the program that made the files, a line each; see `made_by`.

    Nothing of damaged ones: the conversion, which proves checksums first, says what is wrong.
    """
    try:
        with closing(open_raw(card, split, raw, limit=limit)) as corpus:
            return told_by_fields(card, corpus)
    except UserError:
        return ()


def _plan(
    corpus: RawCorpus,
    card: CorpusCard,
    split: Split,
    raw: Raw,
    limit: int | None,
    resolution: int | None,
) -> Plan:
    count = len(corpus) if limit is None else min(limit, len(corpus))
    if count == 0:
        raise UserError(f"{raw}: holds no trajectory of the {split} split of {card.name}")
    sources = (_source(path, raw) for path in corpus.sources)
    return Plan(
        count=count,
        provenance=Provenance(
            producer=published(card).reader,
            version=card.version,
            seed=-1,
            sources=tuple(sources),
            grid=None if resolution is None else card.grid(resolution),
        ),
        split_known=corpus.split_known,
        notes=corpus.notes,
    )


def convert(
    card: CorpusCard,
    split: Split,
    raw: Raw,
    out: Path,
    *,
    limit: int | None = None,
    storage: Storage = "float32",
    shard_bytes: int = SHARD_BYTES,
    resolution: int | None = None,
    checksums: bool = True,
    watch: Watch = _unwatched,
) -> CorpusEntry:
    """Write one split of a corpus's published files as shards.

    Args:
        card: card of the corpus; its `published` says how the files are read.
        split: train, validation or test.
        raw: folder that holds the published files, or the one file itself; or own files.
        out: folder of shards, made if need be; an existing split is replaced once the new one
            is complete.
        limit: only the first so many trajectories of the split.
        storage: type of the stored fields; float16 halves the size at 3 digits.
        shard_bytes: a shard is closed before it would grow beyond this size.
        resolution: cells along x to resize to, once and for all: means over blocks where the
            published grid is a whole multiple, bilinear elsewhere; None keeps that grid.
        checksums: prove files whose md5 the card publishes before reading them.
        watch: told of the progress of checksums and trajectories.

    Returns:
        The entry, as it stands in the manifest.

    Raises:
        UserError: a file is missing, damaged or other than the card says, a checksum is wrong,
            a trajectory violates the card, or the folder cannot be written.
    """
    if limit is not None and limit < 1:
        raise UserError(f"{card.name}: limit={limit}; wanted 1 or more")
    grid = _target_grid(card, resolution)
    with closing(open_raw(card, split, raw, limit=limit)) as corpus:
        planned = _plan(corpus, card, split, raw, limit, resolution)
        count = planned.count
        sources = planned.provenance.sources
        if checksums:
            sources = tuple(
                _proved(card, source, path, len(sources) == 1, watch)
                for source, path in zip(sources, corpus.sources, strict=True)
            )

        def trajectories_from(start: int) -> Iterable[Trajectory]:
            coming = (_resized(corpus.read(number), grid) for number in range(start, count))
            label = f"{card.name} {split}"
            return watch(coming, total=count - start, label=label, unit="trajectories")

        return write_corpus(
            trajectories_from,
            card,
            split=split,
            out=out,
            count=count,
            provenance=planned.provenance.model_copy(update={"sources": sources}),
            shard_bytes=shard_bytes,
            storage=storage,
            origin=[_state(path) for path in corpus.sources],
        )


def _state(path: Path) -> list[Any]:
    """Where a raw file lies, how large it is and when it last changed; of a folder, its files."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    states = [file.stat() for file in files]
    changed = max((state.st_mtime_ns for state in states), default=0)
    return [str(path.resolve()), sum(state.st_size for state in states), changed]


def _source(path: Path, raw: Raw) -> SourceFile:
    """A raw file for the manifest, named from the folder that was given; a folder ends in "/"."""
    within = isinstance(raw, Path) and raw.is_dir() and path != raw and path.is_relative_to(raw)
    name = path.relative_to(raw).as_posix() if within else path.name  # type: ignore[arg-type]
    return SourceFile(name=name + "/" * path.is_dir(), bytes=_state(path)[1])


def _proved(
    card: CorpusCard, source: SourceFile, path: Path, alone: bool, watch: Watch
) -> SourceFile:
    """A raw file with its checksum, where there is one to hold it against."""
    wanted = None if path.is_dir() else _published_md5(card, source, path, alone)
    if wanted is None:
        return source
    came = _md5(path, watch)
    if came != wanted.lower():
        raise UserError(
            f"{path}: md5 {came}, the published file has {wanted.lower()}: damaged on its way, or "
            "another version; fetch it again, or switch the checksums off (--no-checksums) to "
            "convert it as it is"
        )
    return source.model_copy(update={"md5": came})


def _published_md5(card: CorpusCard, source: SourceFile, path: Path, alone: bool) -> str | None:
    files = published(card).files
    if len(files) == 1 and alone:
        return files[0].md5  # the one file may have been renamed
    return next((file.md5 for file in files if file.name in (source.name, path.name)), None)


def _md5(path: Path, watch: Watch) -> str:
    """Checksum of a file, hex; computed once, since the splits of a corpus share their files."""
    stat = path.stat()
    state = (path.resolve(), stat.st_size, stat.st_mtime_ns)
    if state not in _computed:
        digest = hashlib.md5(usedforsecurity=False)
        pieces = -(-stat.st_size // MEBIBYTE)
        for piece in watch(_pieces(path), total=pieces, label=f"md5 of {path.name}", unit="MiB"):
            digest.update(piece)
        _computed[state] = digest.hexdigest()
    return _computed[state]


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(MEBIBYTE):
            yield piece


def _target_grid(card: CorpusCard, resolution: int | None) -> tuple[int, ...] | None:
    """The grid to resize to, None to keep the published one."""
    if resolution is None:
        return None
    grid = card.grid(resolution)
    if resolution < 1 or len(grid) != 2:
        raise UserError(
            f"{card.name}: resolution={resolution} for a grid of {list(card.native_grid)}; wanted "
            "1 or more, and planes: three-dimensional fields keep their grid"
        )
    return None if grid == card.native_grid else grid


def _resized(trajectory: Trajectory, grid: tuple[int, ...] | None) -> Trajectory:
    """A trajectory on another grid; a cell is solid where less than half is fluid."""
    if grid is None or trajectory.fields.shape[2:] == grid:
        return trajectory
    mask = trajectory.mask
    if mask is not None:
        mask = (_on_grid(mask[None, None], grid)[0, 0] >= SOLID_BELOW).astype(np.float32)
    return dataclasses.replace(trajectory, fields=_on_grid(trajectory.fields, grid), mask=mask)


def _on_grid(frames: NDArray[np.float32], grid: tuple[int, ...]) -> NDArray[np.float32]:
    """Frames (T, C, H, W) on another grid: means over whole cells where it divides theirs.

    Generators store such means as well; bilinear values would skip cells of a much finer grid.
    """
    (height, width), (rows, columns) = frames.shape[2:], grid
    if height % rows or width % columns:
        return _bilinear(frames, grid)
    shape = (*frames.shape[:2], rows, height // rows, columns, width // columns)
    means = np.mean(frames.reshape(shape), axis=(3, 5), dtype=np.float64)
    return np.asarray(means, np.float32)


def _bilinear(frames: NDArray[np.float32], grid: tuple[int, ...]) -> NDArray[np.float32]:
    """Frames (T, C, H, W) on another grid."""
    from data_shards.resize import resize_into  # loads numba, which takes half a second

    result = np.empty((*frames.shape[:2], *grid), np.float32)
    resize_into(result, frames)
    return result
