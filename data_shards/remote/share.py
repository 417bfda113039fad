"""Sharing: a folder of shards to the Hub, verified before it goes."""

from pathlib import Path
from typing import Any

from data_shards.errors import UserError
from data_shards.remote.hub import upload_folder
from data_shards.shards.manifest import read_manifest
from data_shards.shards.verify import verify

_SHARD_FILES = ("*.tar", "manifest.json", "README.md", "LICENSE")


def push_shards(folder: Path, repo: str, deep: bool = True, **hub: Any) -> str:
    """Put a folder of shards on the Hub as a data set, with its card.

    Args:
        folder: of shards with their manifest.
        repo: as "owner/name"; made if there is none.
        deep: read and check every byte before it goes, rather than sizes only.
        hub: `private`, `message`, `token`, `endpoint`, as `hub.upload_folder`.

    Returns:
        The data set's address.

    Raises:
        UserError: the folder is faulty, or the Hub does not take it.
    """
    if not read_manifest(folder).entries:
        raise UserError(f"{folder}: no shards in it; make some with foundation shards generate")
    report = verify(folder, deep=deep)
    if not report.ok:
        fault = report.faults[0]
        raise UserError(
            f"{folder}: {len(report.faults)} faults, nothing was pushed; {fault.shard}: "
            f"{fault.message}"
        )
    message = hub.pop("message", None) or f"Push {folder.name}"
    return upload_folder(folder, _SHARD_FILES, repo, message=message, **hub)
