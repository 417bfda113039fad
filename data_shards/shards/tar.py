"""Tar headers: the bytes of one shard in, the place of every member out.

The usual readers end a shard early, and without a word, at the first header
they cannot parse (`tarfile` and `webdataset` alike). This scan reads the same
ustar headers but insists on an unbroken chain from byte 0 to the end marker.
"""

import mmap
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from data_shards.errors import UserError

BLOCK = 512


class ShardError(UserError):
    """A shard is missing, truncated, damaged or other than the manifest says."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """Where the payload of one file lies inside its tar, in bytes."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def padded(size: int) -> int:
    """Bytes that a payload of `size` bytes takes up in a tar."""
    return -(-size // BLOCK) * BLOCK


def scan(buffer: bytes | mmap.mmap, where: str) -> list[TarMember]:
    """Every member of a tar, in file order.

    Args:
        buffer: the whole file; only its headers are touched.
        where: name of the shard for messages.

    Raises:
        ShardError: a damaged header, a member cut short, no end marker, or data after it.
    """
    members = list(_members(buffer, where))
    offset = _next_header(members[-1]) if members else 0
    if buffer[offset:].strip(b"\0"):
        raise ShardError(
            f"shard {where}: data follow the end marker at byte {offset} "
            f"(after {len(members)} members): part of it is overwritten; build the corpus again"
        )
    return members


def scan_unfinished(buffer: bytes | mmap.mmap) -> tuple[list[TarMember], bool]:
    """Members of a tar whose writer may have been killed.

    Args:
        buffer: the file as it was left.

    Returns:
        The whole members from the front, and whether the end marker follows them.
    """
    members: list[TarMember] = []
    try:
        for member in _members(buffer, "unfinished"):
            members.append(member)  # one by one: those before a fault stay
    except ShardError:
        return members, False
    return members, True


def _members(buffer: bytes | mmap.mmap, where: str) -> Iterator[TarMember]:
    """Members up to the end marker."""
    offset = 0
    while (info := _header(buffer, offset, where)) is not None:
        member = TarMember(info.name, offset + BLOCK, info.size)
        if member.end > len(buffer):
            raise ShardError(
                f"shard {where}: truncated: member {member.name} ends at byte {member.end}, "
                f"the file at {len(buffer)}; build the corpus again"
            )
        yield member
        offset = _next_header(member)


def _next_header(member: TarMember) -> int:
    return member.offset + padded(member.size)


def _header(buffer: bytes | mmap.mmap, offset: int, where: str) -> tarfile.TarInfo | None:
    """The header at `offset`, or None at the end marker."""
    block = bytes(buffer[offset : offset + BLOCK])
    if len(block) < BLOCK:
        raise ShardError(
            f"shard {where}: truncated: no end marker at byte {offset}; build the corpus again"
        )
    if not any(block):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ShardError(
            f"shard {where}: garbage instead of a tar header at byte {offset} ({error}); "
            "build the corpus again"
        ) from None
    if not info.isreg():
        raise ShardError(
            f"shard {where}: member {info.name!r} at byte {offset} is no plain file "
            f"(tar type {info.type!r}); build the corpus again"
        )
    return info
