"""Shards by name: a folder, or a data set on the Hub as `hf://datasets/OWNER/NAME[@REVISION]`.

Of a data set comes its manifest, then the tars of the corpora and splits that are asked for,
and nothing else. They stay in the Hub's cache: a transfer that broke goes on where it was,
what is there is not fetched again, and every file is compared with the checksum that the
Hub keeps of it. Whoever trains compares them with the manifest as well, as of any folder.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from data_shards.errors import UserError
from data_shards.manifest import MANIFEST, read_manifest
from foundation.checkpoint.hub import snapshot

HUB = "hf://"
_DATASETS = f"{HUB}datasets/"
_ODD = frozenset("/\\*?[]")  # of a tar's name: it would match, or lie, elsewhere


def find_shards(
    name: str | Path, corpora: Collection[str], splits: Collection[str], **hub: Any
) -> Path:
    """A folder with the shards of some corpora.

    Args:
        name: of a folder, or "hf://datasets/OWNER/NAME", "@" and a revision after it.
        corpora: whose shards are wanted; none: only the manifest.
        splits: of them.
        hub: `cache_dir`, `local_files_only`, `token`, `endpoint`, as `hub.snapshot`.

    Returns:
        The folder; of a data set that of its revision in the cache.

    Raises:
        UserError: no such data set or revision, no permission, no connection, a file that is
            not what the Hub says, or no shards in it. A folder is not looked at.
    """
    if not str(name).startswith(HUB):
        return Path(name)
    repo, revision = _parts(str(name))
    folder = snapshot(repo, [MANIFEST], kind="dataset", revision=revision, **hub)
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{name}: holds no {MANIFEST}; wanted what foundation push-shards made")
    wanted = [
        record.name
        for entry in read_manifest(folder).entries
        if entry.corpus in corpora and entry.split in splits
        for record in entry.shards
    ]
    if odd := [tar for tar in wanted if _ODD & set(tar)]:
        raise UserError(f"{name}: its manifest names a shard {odd[0]!r}; wanted a plain file name")
    if wanted:
        # Of the very commit whose manifest was read: the main branch may move in between.
        folder = snapshot(repo, [MANIFEST, *wanted], kind="dataset", revision=folder.name, **hub)
    return folder


def _parts(name: str) -> tuple[str, str | None]:
    """Repository and revision."""
    repo, _, revision = name.removeprefix(_DATASETS).partition("@")
    if not name.startswith(_DATASETS) or repo.count("/") != 1:
        raise UserError(f"{name}: wanted {_DATASETS}OWNER/NAME, or {_DATASETS}OWNER/NAME@REVISION")
    return repo, revision or None
