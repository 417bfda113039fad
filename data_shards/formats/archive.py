"""Files of a published tree, unpacked or still zipped: a path in, names and bytes out.

A tree is a folder, the zips in it, or one zip; members of zips are read where
they are, nothing is unpacked. A zip is not trusted: members whose names leave
the tree, links, encrypted members and names that occur twice are refused, and
a member is only ever read up to a size that the caller knows beforehand.
"""

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from data_shards.errors import UserError

ZIP = ".zip"
MOST_MEMBERS = 100_000  # of one zip; published ones have some hundred
_DAMAGE = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
_LEFTOVERS = ("__MACOSX", ".DS_Store")  # what an archiver adds


@dataclass(frozen=True)
class ArchiveMember:
    """One file of a tree.

    Attributes:
        parts: its place, from the two folders above the tree on; a zip counts as a folder
            of its name.
        source: the file on disk that holds it: itself, or its zip.
        inside: its name in the zip, None on disk.
        size: bytes, unpacked.
    """

    parts: tuple[str, ...]
    source: Path
    inside: str | None
    size: int

    def __str__(self) -> str:
        return str(self.source) if self.inside is None else f"{self.source}:{self.inside}"


class FileTree:
    """All files below a folder and in the zips below it, or in one zip; zips stay open."""

    def __init__(self, path: Path, fits: Callable[[tuple[str, ...]], bool]) -> None:
        """List the files.

        Args:
            path: a folder, or one zip.
            fits: whether a zip below the folder is looked into, by its place as in `ArchiveMember`;
                one that is given itself always is.

        Raises:
            UserError: no such path, neither folder nor zip, or a zip is damaged or hostile.
        """
        self._fits = fits
        self._zips: dict[Path, zipfile.ZipFile] = {}
        above = path.absolute().parent.parts[-1:]
        try:
            if path.is_dir():
                name = path.resolve().name
                self.members = tuple(self._folder(path, (*above, name), frozenset()))
            elif path.is_file() and path.suffix == ZIP:
                self.members = tuple(self._zip(path, (*above, path.stem)))
            else:
                there = (
                    "is neither a folder nor a zip" if path.exists() else "no such folder or zip"
                )
                raise UserError(f"{path}: {there}")
        except BaseException:
            self.close()
            raise

    @contextmanager
    def open(self, member: ArchiveMember) -> Iterator[IO[bytes]]:
        """A member's bytes, as a stream.

        Raises:
            UserError: they cannot be read, or while reading: they are damaged.
        """
        try:
            if member.inside is None:
                with member.source.open("rb") as file:
                    yield file
            else:
                with self._zips[member.source].open(member.inside) as packed:
                    yield packed
        except _DAMAGE as error:
            raise UserError(f"{member}: cannot be read: {error}; download it again") from error

    def read(self, member: ArchiveMember, most: int) -> bytes:
        """All bytes of a member.

        Raises:
            UserError: there are more than `most`, or they are damaged.
        """
        if member.size > most:
            raise UserError(f"{member}: has {member.size} bytes, wanted {most} at most")
        with self.open(member) as file:
            return file.read(most)

    def close(self) -> None:
        """Release the zips."""
        for archive in self._zips.values():
            archive.close()
        self._zips = {}

    def _folder(
        self, folder: Path, parts: tuple[str, ...], above: frozenset[Path]
    ) -> Iterator[ArchiveMember]:
        here = folder.resolve()
        if here in above:  # a link to a folder around it
            return
        for entry in sorted(folder.iterdir()):
            if _is_leftover(entry.name):
                continue
            if entry.is_dir():
                yield from self._folder(entry, (*parts, entry.name), above | {here})
            elif entry.suffix == ZIP:
                if self._fits((*parts, entry.stem)):
                    yield from self._zip(entry, (*parts, entry.stem))
            elif entry.is_file():
                yield ArchiveMember((*parts, entry.name), entry, None, entry.stat().st_size)

    def _zip(self, path: Path, parts: tuple[str, ...]) -> Iterator[ArchiveMember]:
        try:
            archive = self._zips[path] = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise UserError(
                f"{path}: not a readable zip ({error}); download it again, it may be cut off"
            ) from error
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS:
            raise UserError(f"{path}: holds {len(entries)} members, wanted {MOST_MEMBERS} at most")
        seen: set[str] = set()
        for entry in entries:
            _refuse_hostile(path, entry)
            inside = PurePosixPath(entry.filename).parts
            if entry.is_dir() or any(_is_leftover(part) for part in inside):
                continue
            if entry.filename in seen:
                raise UserError(f"{path}: holds {entry.filename!r} twice; download it again")
            seen.add(entry.filename)
            yield ArchiveMember((*parts, *inside), path, entry.filename, entry.file_size)


def _is_leftover(name: str) -> bool:
    return name in _LEFTOVERS or name.startswith("._")


def _refuse_hostile(path: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    inside = PurePosixPath(name)
    leaves = inside.is_absolute() or ".." in inside.parts or "\\" in name or name[1:2] == ":"
    if leaves:
        raise UserError(
            f"{path}: member {name!r} points outside of the zip; do not trust this file"
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UserError(f"{path}: member {name!r} is a link; do not trust this file")
    if entry.flag_bits & 1:
        raise UserError(f"{path}: member {name!r} is encrypted; unpack the zip yourself")
