"""Shards by name: a folder, a data set on the Hub, or URLs; a folder that holds them out.

Names: a path; `hf://datasets/OWNER/NAME[@REVISION]`; `https://HOST/FOLDER/` of a folder of
shards; a text file of URLs (`shard_urls`). Of what is far away comes the manifest, then the
tars of the splits that are asked for, and nothing else. They stay in a cache: a transfer that
broke goes on where it was, what is there is not fetched again, and every file is compared with
its checksum as it comes. Whoever trains or judges compares them with the manifest as well.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from data_shards.errors import UserError
from data_shards.remote.hub import snapshot
from data_shards.remote.shard_urls import UrlShards, are_urls
from data_shards.shards.manifest import MANIFEST, ShardRecord, read_manifest

_HUB = "hf://"
_DATASETS = f"{_HUB}datasets/"
_ODD = frozenset("/\\*?[]")  # of a tar's name: it would match, or lie, elsewhere


class _Source(Protocol):
    """Shards that lie elsewhere."""

    def manifest_folder(self) -> Path:
        """A folder here with their manifest."""

    def fetch(self, folder: Path, records: Iterable[ShardRecord]) -> Path:
        """A folder with that manifest and some tars."""


def find_shards(name: str | Path, splits: Iterable[tuple[str, str]] = (), **settings: Any) -> Path:
    """A folder with the shards of some splits.

    Args:
        name: of a folder; "hf://datasets/OWNER/NAME", "@" and a revision after it; the URL of a
            folder; or a text file of URLs.
        splits: corpus and split of what is wanted, as far as the manifest has them; none: only
            the manifest.
        settings: of a data set `cache_dir`, `local_files_only`, `token`, `endpoint`, as
            `hub.snapshot`; of URLs `cache_dir` and `local_files_only`.

    Returns:
        The folder; of what lies elsewhere that of its revision in the cache.

    Raises:
        UserError: no such name or revision, no permission, no connection, a file that is not
            what its checksum says, or no shards in it. A folder is not looked at.
    """
    source = _source(str(name), settings)
    if source is None:
        return Path(name)
    folder = source.manifest_folder()
    asked = set(splits)
    entries = [e for e in read_manifest(folder).entries if (e.corpus, e.split) in asked]
    records = [record for entry in entries for record in entry.shards]
    for record in records:
        if _ODD & set(record.name) or not record.name.endswith(".tar"):
            raise UserError(
                f"{name}: its manifest names a shard {record.name!r}; wanted a plain file name "
                "that ends in .tar"
            )
    return source.fetch(folder, records) if records else folder


def _source(name: str, settings: dict[str, Any]) -> _Source | None:
    if name.startswith(_HUB):
        return _HubShards(name, settings)
    return UrlShards(name, **settings) if are_urls(name) else None


class _HubShards:
    """A data set on the Hub."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        repo, _, revision = name.removeprefix(_DATASETS).partition("@")
        if not name.startswith(_DATASETS) or repo.count("/") != 1:
            raise UserError(
                f"{name}: wanted {_DATASETS}OWNER/NAME, or {_DATASETS}OWNER/NAME@REVISION"
            )
        self._name, self._repo, self._settings = name, repo, settings
        self._revision = revision or None

    def manifest_folder(self) -> Path:
        folder = self._snapshot([MANIFEST], self._revision)
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"{self._name}: holds no {MANIFEST}; wanted what foundation push-shards made"
            )
        return folder

    def fetch(self, folder: Path, records: Iterable[ShardRecord]) -> Path:
        # Of the very commit whose manifest was read: the main branch may move in between.
        return self._snapshot([MANIFEST, *(record.name for record in records)], folder.name)

    def _snapshot(self, files: list[str], revision: str | None) -> Path:
        return snapshot(self._repo, files, kind="dataset", revision=revision, **self._settings)
