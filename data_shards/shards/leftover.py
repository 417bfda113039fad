"""What a killed writer left behind: a hidden folder in, whole samples out.

A writer works in `.partial-CORPUS-SPLIT`. After a stop, the tars there hold
samples that need not be simulated or read again. They are moved to the folder
`before/` and written once more, from the front, so that the result is the same
byte for byte as if nothing had happened. `order.json` says what was being
written; samples of another order are of no use and go.
"""

import io
import json
import mmap
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.shards.index import PARTS, Sample, group_members
from data_shards.shards.tar import scan_unfinished

EncodedSample = dict[str, Any]
Order = dict[str, Any]

_ORDER, _BEFORE = "order.json", "before"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Leftover:
    """Where one whole sample lies in a tar of the writer before."""

    path: Path
    sample: Sample

    def read(self) -> EncodedSample:
        """The sample as it was handed to the tar."""
        places = (self.sample.fields, self.sample.mask, self.sample.meta)
        with self.path.open("rb") as file:
            parts = {}
            for part, place in zip(PARTS, places, strict=True):
                file.seek(place.offset)
                parts[part] = file.read(place.size)
        return {"__key__": self.sample.key, **parts}


def recover(folder: Path, order: Order) -> list[Leftover]:
    """Samples 0, 1, ... that a stopped writer of the same order had finished.

    Args:
        folder: the hidden folder, ours alone; the names of its tars are free afterwards.
        order: everything that the samples depend on, as plain JSON values.

    Returns:
        The longest run of whole samples from the front.
    """
    known = _read_order(folder)
    before = folder / _BEFORE
    before.mkdir(exist_ok=True)
    for path in folder.glob("*.tar"):
        os.replace(path, _free_name(before, path.name))
    found: dict[str, Leftover] = {}
    if known.get("order") == json.loads(json.dumps(order)):
        # After a crash of the machine, only what was flushed is surely there: finished tars.
        flushed_only = known.get("boot") != _boot()
        for path in sorted(before.iterdir()):
            found |= {sample.key: Leftover(path, sample) for sample in _whole(path, flushed_only)}
    useful = {leftover.path for leftover in found.values()}
    for path in before.iterdir():
        if path not in useful:
            path.unlink()
    replace_file(folder / _ORDER, json.dumps({"boot": _boot(), "order": order}).encode())
    return _run_from_zero(found)


def consume(run: Sequence[Leftover]) -> Iterator[EncodedSample]:
    """Samples in turn, to be written once more before the next one is asked for.

    A tar goes with the last of its samples, so a disk never holds everything twice.
    """
    last = {leftover.path: number for number, leftover in enumerate(run)}
    for number, leftover in enumerate(run):
        yield leftover.read()
        if last[leftover.path] == number:
            leftover.path.unlink()


def any_tar(folder: Path) -> bool:
    """Whether a stopped writer left anything in a hidden folder."""
    return any(folder.rglob("*.tar"))


def discard(folder: Path) -> None:
    """Remove everything in a hidden folder, and the folder."""
    shutil.rmtree(folder, ignore_errors=True)


def arrays(sample: EncodedSample) -> tuple[NDArray[Any], NDArray[Any]]:
    """Fields and mask of an encoded sample, in the stored type."""
    fields, mask = (
        np.load(io.BytesIO(sample[part]), allow_pickle=False) for part in ("fields.npy", "mask.npy")
    )
    return fields, mask


def key_of(split: str, position: int) -> str:
    """Name of the sample at a position of a split."""
    return f"{split}-{position:06d}"


def _run_from_zero(found: dict[str, Leftover]) -> list[Leftover]:
    split = next(iter(found)).rpartition("-")[0] if found else ""
    run: list[Leftover] = []
    while (key := key_of(split, len(run))) in found:
        run.append(found[key])
    return run


def _whole(path: Path, flushed_only: bool) -> list[Sample]:
    """Whole samples of a tar that may be cut anywhere."""
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        members, finished = scan_unfinished(buffer)
    if flushed_only and not finished:
        return []
    try:
        return group_members(members[: len(members) // len(PARTS) * len(PARTS)], path.name)
    except UserError:  # not a tar of ours
        return []


def _free_name(folder: Path, name: str) -> Path:
    taken = sum(1 for _ in folder.iterdir())
    while (path := folder / f"{taken:04d}-{name}").exists():
        taken += 1
    return path


def _read_order(folder: Path) -> Order:
    try:
        known = json.loads((folder / _ORDER).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _boot() -> str:
    """Which run of the machine this is; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
