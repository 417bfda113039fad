"""Hashes that are the same on every machine and in every version.

Keyed ones, integers in and integers out: orders of samples, choices of trajectories and noise
are functions of them, so that nothing random depends on a generator's state (source: splitmix64).
And the digests of plain values and of files, which tell whether two of them are the same.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = (1 << 64) - 1
_CHUNK = 1 << 22


def mix(value: int) -> int:
    """A bijective hash of 64-bit integers (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & WORD
    return value ^ (value >> 31)


def digest(values: Any) -> str:
    """sha256 (hex) of plain values in JSON, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Checksum of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> Iterator[str]:
    """Checksums of files, several at a time: hashing leaves the interpreter to others."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(sha256_of, paths)


def keyed(name: str, seed: int) -> int:
    """A 64-bit key for a name under a seed, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())


def hashes(key: int, count: int) -> NDArray[np.uint64]:
    """`mix(key ^ mix(i))` for i = 0 .. count - 1."""

    def vector_mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        values = values + np.uint64(0x9E3779B97F4A7C15)  # arrays of uint64 wrap around
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))

    return vector_mix(np.uint64(key) ^ vector_mix(np.arange(count, dtype=np.uint64)))
