"""What lies in a training folder's `checkpoints/`: names in, whole checkpoints out.

Read without DeepSpeed and without a process group; `store` writes it.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.hashing import digest, sha256_of_all
from data_shards.untrusted import parse_json, read_text
from foundation.parallel.layout import Layout

MANIFEST = "checkpoint.json"
PARTIAL = ".partial-"  # begins the name of what is not whole yet


class Checkpoint(Config):
    """What `checkpoint.json` says."""

    step: int  # optimiser steps taken
    samples: int  # of the stream, consumed over all ranks
    layout: Layout
    files: dict[str, int]  # name: bytes
    # Of every file; and of all the other values, as `sealed` gives it. Older ones have neither.
    sha256: dict[str, str] = Field(default_factory=dict)
    seal: str | None = None

    @classmethod
    def of(
        cls, folder: Path, names: Sequence[str], step: int, samples: int, layout: Layout
    ) -> "Checkpoint":
        """The manifest of files that have just been written."""
        files = {name: (folder / name).stat().st_size for name in names}
        sums = dict(zip(names, sha256_of_all(folder / name for name in names), strict=True))
        bare = cls(step=step, samples=samples, layout=layout, files=files, sha256=sums)
        return bare.model_copy(update={"seal": bare.sealed()})

    def sealed(self) -> str:
        """Checksum of what the manifest itself says; keys that come later do not break it."""
        return digest({k: v for k, v in self.canonical().items() if k != "seal"})


def newest_checkpoint(folder: Path, contents: bool = False) -> tuple[str, Checkpoint] | None:
    """Tag and manifest of the newest checkpoint whose files are all there, if any.

    A damaged one is passed over with a warning.

    Args:
        folder: of all checkpoints of a run.
        contents: read every byte, rather than sizes only.

    Raises:
        UserError: there are checkpoints and all of them are damaged.
    """
    faults = []
    for tag in reversed(tags_of(folder)):
        fault = fault_of(folder / tag, contents)
        if fault is None:
            return tag, read_manifest(folder / tag)
        faults.append(fault)
        warnings.warn(f"passed over: {fault}", stacklevel=2)
    if faults:
        raise UserError(
            f"{folder}: no good checkpoint among {len(faults)}; the newest: {faults[0]}; "
            "restore its files, or remove the folder to start anew"
        )
    return None


def tags_of(folder: Path) -> list[str]:
    """Names of all checkpoints, the oldest first."""
    return sorted(path.name for path in folder.glob("step-*") if path.is_dir())


def leftovers(folder: Path) -> list[Path]:
    """What saves that were cut off have left among checkpoints; the next save removes it."""
    return [*folder.glob(f"{PARTIAL}*"), *folder.glob(".universal-*")]


def read_manifest(checkpoint: Path, contents: bool = False) -> Checkpoint:
    """The manifest of a checkpoint whose files all have their size.

    Args:
        checkpoint: its folder.
        contents: and their checksum, where it is known.

    Raises:
        UserError: the manifest or a file is missing, or a size or a checksum differs.
    """
    path = checkpoint / MANIFEST
    try:
        manifest = Checkpoint.read(parse_json(read_text(path), str(path)), str(path))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no readable manifest ({error})") from None
    for name, size in manifest.files.items():
        file = checkpoint / name
        came = file.stat().st_size if file.is_file() else "missing"
        if came != size:
            raise UserError(f"{file}: {came}, its manifest says {size} bytes")
    if manifest.seal not in (None, manifest.sealed()):
        raise UserError(f"{path}: changed since it was written")
    if contents:
        _check_contents(checkpoint, manifest)
    return manifest


def _check_contents(checkpoint: Path, manifest: Checkpoint) -> None:
    names = list(manifest.files) if manifest.sha256 else []
    for name, came in zip(names, sha256_of_all(checkpoint / n for n in names), strict=True):
        wanted = manifest.sha256.get(name, "nothing")
        if came != wanted:
            raise UserError(
                f"{checkpoint / name}: changed since it was written: sha256 {came[:12]}..., its "
                f"manifest says {wanted[:12]}..."
            )


def fault_of(checkpoint: Path, contents: bool = False) -> str | None:
    """What is wrong with a checkpoint, None if nothing is; see `read_manifest`."""
    try:
        read_manifest(checkpoint, contents)
    except UserError as error:
        return str(error)
    return None


def removed(folder: Path) -> UserError:
    """The error of a run whose training folder is gone, or another one, while it writes there."""
    return UserError(
        f"{folder}: was removed or replaced while the run wrote to it; what was in it is lost, "
        "start anew"
    )
