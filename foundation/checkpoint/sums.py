"""Checksums of a checkpoint folder's files: `SHA256SUMS`, as the command `sha256sum -c` reads it.

They tell what has changed since it was written, by chance or by hand, not who wrote it.
Folders of older versions have none, and load.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.hashing import sha256_of_all
from data_shards.untrusted import read_text

SUMS = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\s]+)")


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the checksums of some files of a folder, in one step."""
    ordered = sorted(names)
    sums = sha256_of_all(folder / name for name in ordered)
    lines = [f"{digest}  {name}\n" for digest, name in zip(sums, ordered, strict=True)]
    replace_file(folder / SUMS, "".join(lines).encode())


def check_sums(folder: Path, names: Iterable[str]) -> None:
    """Refuse files that are not as they were written; says nothing where there are no checksums.

    Args:
        folder: of a checkpoint.
        names: files that must have a checksum there, and that one.

    Raises:
        UserError: a file has changed since, the checksums do not cover it or cannot be read.
    """
    path = folder / SUMS
    try:
        text = read_text(path)
    except FileNotFoundError:
        return
    lines = [_LINE.fullmatch(line) for line in text.splitlines()]
    known = {line[2]: line[1] for line in lines if line}
    ordered = sorted(names)
    for name, came in zip(ordered, sha256_of_all(folder / n for n in ordered), strict=True):
        if known.get(name) != came:
            wanted = f"{known[name][:12]}..." if name in known else "nothing of it"
            raise UserError(
                f"{folder / name}: changed since it was written: sha256 {came[:12]}..., {SUMS} "
                f"says {wanted}; copy the folder anew, or remove {SUMS} if you changed it yourself"
            )
