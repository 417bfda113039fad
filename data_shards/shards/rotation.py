"""A roll of tars: encoded samples in, shards of bounded size and their records out.

The tars are webdataset's own, with time, owner and mode fixed: these would make
equal data differ in bytes. Checksums are taken on the way to the disk.
"""

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from webdataset import TarWriter

from data_shards.shards.manifest import ShardRecord
from data_shards.shards.tar import BLOCK, padded


class RotatingShards:
    """Writes `STEM-000000.tar`, `STEM-000001.tar`, ...; a context manager.

    Attributes:
        records: the shards that are complete and on the disk.
    """

    def __init__(self, folder: Path, stem: str, shard_bytes: int) -> None:
        self._folder, self._stem, self._limit = folder, stem, shard_bytes
        self.records: tuple[ShardRecord, ...] = ()
        self._file: _HashingFile | None = None
        self._tar: TarWriter | None = None
        self._size = self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish()
        elif self._tar is not None and self._file is not None:
            with suppress(OSError):  # the disk may be full: that error is on its way already
                self._tar.close()
            self._file.release()

    def write(self, sample: dict[str, Any]) -> None:
        """Append a sample, in a new shard if the current one would outgrow the limit."""
        size = sum(BLOCK + padded(len(v)) for k, v in sample.items() if k != "__key__")
        tar = self._tar
        if tar is None or self._size + size > self._limit:
            self._finish()
            tar = self._begin()
        tar.write(sample)
        self._size += size
        self._count += 1

    def _next_name(self) -> str:
        return f"{self._stem}-{len(self.records):06d}.tar"

    def _begin(self) -> TarWriter:
        self._file = _HashingFile((self._folder / self._next_name()).open("wb"))
        self._tar = TarWriter(
            self._file, user="root", group="root", mode=0o444, mtime=0, encoder=False
        )
        self._size = self._count = 0
        return self._tar

    def _finish(self) -> None:
        if self._tar is None or self._file is None:
            return
        self._tar.close()
        self._file.commit()
        record = ShardRecord(
            name=self._next_name(),
            count=self._count,
            bytes=self._file.length,
            sha256=self._file.sha256.hexdigest(),
        )
        self.records = (*self.records, record)
        self._tar = self._file = None


class _HashingFile(io.RawIOBase):
    """A file that knows the checksum and length of what went into it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.length = 0

    def write(self, data: Any) -> int:
        self._file.write(data)
        self.sha256.update(data)
        self.length += len(data)
        return len(data)

    def commit(self) -> None:
        """Bring everything to the disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def release(self) -> None:
        """Close; what is in the file no longer matters."""
        with suppress(OSError):
            self._file.close()
