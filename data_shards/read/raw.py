"""Published raw files: what a reader of them is, and which trajectories make up a split.

A reader opens the files of one corpus as their authors published them and
gives the trajectories of one split, one by one, in the house's axes
(T, C, y, x). It holds a bounded block in memory, whatever the files' size.
"""

import os
from pathlib import Path
from typing import Protocol, TypeAlias

from data_shards.card import CorpusCard, PublishedFiles, Split
from data_shards.errors import UserError
from data_shards.trajectory import Trajectory

Raw: TypeAlias = Path | tuple[Path, ...]  # a folder, a file, or several of a user's own


class RawCorpus(Protocol):
    """One split of one corpus, in its published files.

    Attributes:
        sources: the raw files or folders of many small ones, for checksums and provenance.
        split_known: whether layout, names or contents of the files, or slices of the card, say
            which split this is. Where nothing does, the same files serve whichever is asked for.
        notes: what the user should know of these files, a line each.
    """

    sources: tuple[Path, ...]
    split_known: bool
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Trajectories of the split."""
        ...

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split; its `index` is its number in file order.

        Raises:
            UserError: the file is damaged or other than the card says.
        """
        ...

    def close(self) -> None:
        """Release the files."""
        ...


def published(card: CorpusCard) -> PublishedFiles:
    """The card's description of its published files.

    Raises:
        UserError: the corpus has none.
    """
    if card.published is None:
        raise UserError(
            f"{card.name}: its card names no published files, so there is nothing to convert; "
            f"simulate it with `foundation shards generate {card.name}`"
        )
    return card.published


def raw_files(card: CorpusCard, path: Path) -> tuple[Path, ...]:
    """The published files of a corpus below `path`.

    Args:
        card: card of the corpus.
        path: the folder that holds all files of the card, or the one file itself,
            under whatever name.

    Returns:
        The files in the card's order.

    Raises:
        UserError: no such path, or a file of the card is not there.
    """
    files = published(card).files
    if path.is_file():
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise UserError(
                f"{path}: {card.name} has {len(files)} files ({names}); give the folder"
            )
        return (_readable(path),)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder{_where_to_get(card)}")
    found = tuple(path / file.name for file in files)
    for file in found:
        if not file.is_file():
            raise UserError(
                f"{path}: holds no {file.name}, the published file of {card.name}"
                f"{_where_to_get(card)}; a file under another name is given itself"
            )
    return tuple(_readable(file) for file in found)


def _readable(path: Path) -> Path:
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: may not be read; change its permissions")
    return path


def raw_file(card: CorpusCard, path: Path) -> Path:
    """The one published file of a corpus; see `raw_files`."""
    found = raw_files(card, path)
    if len(found) != 1:
        raise UserError(
            f"{path}: card {card.name} names {len(found)} files, its reader "
            f"{published(card).reader!r} reads one; give the file itself"
        )
    return found[0]


def _where_to_get(card: CorpusCard) -> str:
    """Address, and the command that fetches what is there."""
    files = published(card)
    if not files.url:
        return ""
    fetched = f" (foundation shards download {card.name})" if files.can_be_fetched else ""
    return f"; it is published at {files.url}{fetched}"


def split_range(card: CorpusCard, split: Split, available: int, where: Path) -> range:
    """Numbers, in file order, of the trajectories of a split.

    For readers whose files are one list of trajectories.

    Args:
        card: its `published.splits` are half-open slices; negative counts from the end.
        split: train, validation or test.
        available: trajectories that the files hold.
        where: the file, for the message.

    Raises:
        UserError: the card has no such split, or the files are shorter than published: the
            split is out of range, or shares trajectories with another one.
    """
    slices = published(card).splits
    if split not in slices:
        known = ", ".join(slices) or "none"
        raise UserError(f"{card.name}: its published files have no {split} split, only: {known}")
    chosen = _resolved(slices[split], available)
    if not 0 <= chosen.start < chosen.stop <= available:
        raise UserError(
            f"{where}: holds {available} trajectories, the {split} split of {card.name} is "
            f"{_written(slices[split])}{_mend(card, slices[split], available, split)}"
        )
    for other, bounds in slices.items():
        taken = _resolved(bounds, available)
        if taken.start < 0:  # nothing of it is in so short a file, nor can it be asked for
            continue
        if other != split and max(chosen.start, taken.start) < min(chosen.stop, taken.stop):
            raise UserError(
                f"{where}: holds {available} trajectories, so few that the {split} split "
                f"{_written(slices[split])} of {card.name} would share some with the {other} "
                f"split {_written(bounds)}{_mend(card, slices[split], available, split)}"
            )
    return chosen


def _mend(
    card: CorpusCard, bounds: tuple[int | None, int | None], available: int, split: Split
) -> str:
    """What to do with a file shorter than the published one."""
    start, stop = bounds
    others = (
        _resolved(o, available).start for s, o in published(card).splits.items() if s != split
    )
    first = start or 0
    few = min([available, *(begin for begin in others if begin >= first)]) - first
    advice = f"; fetch the whole file{_where_to_get(card)}; or "
    if first >= 0 and stop is not None and stop > 0 and few > 0:
        advice += f"take what is there with --split {split} --limit {few} --no-checksums; or "
    return advice + own_card(card, "published.splits")


def own_card(card: CorpusCard, changes: str) -> str:
    """How to read files that differ from a card: words that follow "or"."""
    return (
        f"edit {changes} on a card of your own (foundation shards info {card.name} --yaml > "
        f"own.yaml) and convert {card.name} with --card own.yaml --no-checksums"
    )


def _resolved(bounds: tuple[int | None, int | None], available: int) -> range:
    """A slice as a range; unlike slicing itself it does not hide what is out of range."""
    start, stop = bounds
    first = 0 if start is None else start + available if start < 0 else start
    last = available if stop is None else stop + available if stop < 0 else stop
    return range(first, last)


def _written(bounds: tuple[int | None, int | None]) -> str:
    start, stop = ("" if bound is None else str(bound) for bound in bounds)
    return f"[{start}:{stop}]"


def narrowed(card: CorpusCard, split: Split, limit: int | None) -> CorpusCard:
    """The card with a split of its published files cut down to its first `limit` trajectories.

    So a limited conversion asks of a file only what it needs. A slice with an open end, or with
    ends counted from different ends of the file, asks for nothing in particular and stays.
    """
    slices = published(card).splits
    if limit is None or split not in slices:
        return card
    start, stop = slices[split]
    first = start or 0
    if stop is None or (stop < 0) != (first < 0):
        return card
    cut = {**slices, split: (start, min(first + limit, stop))}
    files = published(card).model_copy(update={"splits": cut})
    return card.model_copy(update={"published": files})


def boundary_of(card: CorpusCard) -> dict[str, str]:
    """The card's boundary conditions, for files that do not tell them.

    Raises:
        UserError: the card leaves them open.
    """
    if card.boundary is None:
        raise UserError(f"card {card.name}: boundary is null, and the files do not tell it")
    return {side: str(kind) for side, kind in card.boundary.items()}


def rows_and_columns(card: CorpusCard) -> tuple[int, int]:
    """The card's grid, for readers of planes.

    Raises:
        UserError: it is three-dimensional.
    """
    if len(card.native_grid) != 2:
        raise UserError(
            f"card {card.name}: native_grid={list(card.native_grid)}, its reader "
            f"{published(card).reader!r} reads planes: [rows, columns]"
        )
    return card.native_grid
