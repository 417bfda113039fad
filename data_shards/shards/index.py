"""Random access to one shard: sample number in, arrays out, straight from the page cache.

The tar headers are scanned once; after that an array is a view of the mapped
file, so reading a window of frames touches the pages of these frames only.
"""

import mmap
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.formats.npy import MOST_HEADER, parse_header
from data_shards.shards.tar import ShardError, TarMember, scan
from data_shards.untrusted import parse_json

PARTS = ("fields.npy", "mask.npy", "meta.json")

_Layout = tuple[np.dtype[Any], tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class Sample:
    """The three members of one trajectory."""

    key: str
    fields: TarMember
    mask: TarMember
    meta: TarMember


class ShardFile:
    """One shard, mapped into memory on first use.

    Pickles as its path and index alone, so that worker processes map it anew.
    """

    def __init__(self, path: Path) -> None:
        """Scan the headers of a shard.

        Raises:
            ShardError: it is missing, damaged, or a sample lacks a member.
        """
        self.path = path
        self.samples = group_members(scan(self._buffer, path.name), path.name)
        self._layouts: dict[int, _Layout] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_buffer"}

    @cached_property
    def _buffer(self) -> mmap.mmap:
        try:
            with self.path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise ShardError(
                f"shard {self.path.name}: missing from {self.path.parent}; build the corpus again"
            ) from None
        except ValueError:  # mmap refuses a file of no bytes
            raise ShardError(f"shard {self.path.name}: empty; build the corpus again") from None

    def array(self, member: TarMember) -> NDArray[Any]:
        """A read-only view of a `.npy` member; nothing is read until it is used."""
        dtype, shape, offset = self._layout(member)
        return np.frombuffer(self._buffer, dtype, prod(shape), offset).reshape(shape)

    def kind(self, member: TarMember) -> tuple[str, tuple[int, ...]]:
        """Type and shape of a `.npy` member, by its header."""
        dtype, shape, _ = self._layout(member)
        return str(dtype), shape

    def metadata(self, sample: Sample) -> dict[str, Any]:
        """What `KEY.meta.json` says."""
        try:
            text = self._buffer[sample.meta.offset : sample.meta.end]
            meta = parse_json(text, sample.meta.name, "build the corpus again")
        except UserError as error:
            raise ShardError(f"shard {self.path.name}: {error}") from None
        if not isinstance(meta, dict):
            raise ShardError(f"shard {self.path.name}: {sample.meta.name} is no JSON object")
        return meta

    def _layout(self, member: TarMember) -> _Layout:
        if member.offset not in self._layouts:
            self._layouts[member.offset] = self._npy_layout(member)
        return self._layouts[member.offset]

    def _npy_layout(self, member: TarMember) -> _Layout:
        """Type, shape and first payload byte of a `.npy` member."""
        where = f"shard {self.path.name}: {member.name}"
        try:
            begin = self._buffer[member.offset : min(member.end, member.offset + MOST_HEADER)]
            dtype, shape, fortran, length = parse_header(begin)
        except ValueError as error:
            raise ShardError(f"{where}: not a .npy array ({error})") from None
        start = member.offset + length
        if fortran or dtype.kind != "f":
            raise ShardError(f"{where}: {dtype}, Fortran order {fortran}; wanted plain floats")
        if start + prod(shape) * dtype.itemsize != member.end:
            raise ShardError(f"{where}: {member.size} bytes do not hold {dtype} {shape}")
        return dtype, shape, start


def group_members(members: list[TarMember], where: str) -> list[Sample]:
    """Members of a tar, grouped into samples of exactly three.

    Raises:
        ShardError: a foreign member, a sample lacking one, or a key that occurs twice.
    """
    samples: dict[str, dict[str, TarMember]] = {}
    for member in members:
        key, _, part = member.name.partition(".")
        if part not in PARTS:
            raise ShardError(f"shard {where}: member {member.name!r} is none of KEY.{PARTS}")
        if part in samples.setdefault(key, {}):
            raise ShardError(f"shard {where}: key {key!r} occurs twice ({member.name})")
        samples[key][part] = member
    for key, parts in samples.items():
        if missing := [part for part in PARTS if part not in parts]:
            raise ShardError(f"shard {where}: sample {key!r} lacks {', '.join(missing)}")
    return [Sample(key, *(parts[part] for part in PARTS)) for key, parts in samples.items()]
