"""Shards at URLs: of a folder, or of single files that a list names; a folder in a cache out.

    https://HOST/FOLDER/     a folder of shards as it lies: manifest.json, the tars beside it
    FILE                     a text file with a URL per line, of manifest.json and of tars, which
                             may lie anywhere and carry a signature (`?...`); `#` begins a remark

The manifest says how large every tar is and what its sha256 is. The cache keeps tars by that
checksum, so that a data set which grows brings only what is new, and per manifest a folder of
links to them.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

from huggingface_hub import constants

from data_shards.atomic import publish, replace_file, replace_link
from data_shards.errors import UserError
from data_shards.remote.web import (
    SCHEMES,
    UnreachableError,
    download,
    read_url,
    shown,
    url_parts,
)
from data_shards.shards.manifest import MANIFEST, Manifest, ShardRecord, locked
from data_shards.untrusted import parse_json

_MOST_MANIFEST, _MOST_LIST = 1 << 28, 1 << 24  # bytes
_DIGEST = re.compile("[0-9a-f]{64}")


def are_urls(name: str) -> bool:
    """Whether shards are named by a URL, or by a file that lists URLs."""
    return name.startswith(SCHEMES) or Path(name).is_file()


class UrlShards:
    """A folder of shards at a URL, or spread over those of a list."""

    def __init__(
        self, name: str, *, cache_dir: str | Path | None = None, local_files_only: bool = False
    ) -> None:
        """Look at the name; nobody is asked.

        Args:
            name: the folder's URL, or a text file of URLs.
            cache_dir: of shards; by default beside the Hub's cache.
            local_files_only: ask nobody, take what the cache has; so does HF_HUB_OFFLINE.

        Raises:
            UserError: neither a folder's URL nor a list with a manifest.
        """
        self._name = name
        self._listed = None if name.startswith(SCHEMES) else _read_list(Path(name))
        if self._listed is None:
            _check_folder(name)
        elif MANIFEST not in self._listed:
            raise UserError(f"{name}: names no {MANIFEST}; add the URL of the shards' manifest")
        self._cache = Path(cache_dir or Path(constants.HF_HOME) / "shards")
        self._offline = local_files_only or constants.HF_HUB_OFFLINE

    def manifest_folder(self) -> Path:
        """A folder in the cache with the manifest; the last one known where nobody answers.

        Raises:
            UserError: it is not to be had, or no manifest.
        """
        address = self._address(MANIFEST).partition("?")[0]  # a signature changes
        known = self._cache / "addresses" / _sha256(address.encode())
        if self._offline and not known.is_dir():
            raise UserError(f"{self._name}: not in the cache ({self._cache}), and offline")
        try:
            content = None if self._offline else self._manifest()
        except UnreachableError:
            if not known.is_dir():
                raise
            warnings.warn(
                f"{shown(address)}: nobody answers; shards as of last time are used", stacklevel=3
            )
            content = None
        if content is None:
            return known.resolve()
        folder = self._cache / "manifests" / _sha256(content)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                replace_file(folder / MANIFEST, content)
                _link(known, folder)
        except OSError as error:
            raise self._unwritable(error) from None
        return folder

    def fetch(self, folder: Path, records: Iterable[ShardRecord]) -> Path:
        """Some tars of a manifest.

        Args:
            folder: of that manifest in the cache.
            records: of the tars.

        Raises:
            UserError: one is not to be had, or not what the manifest says.
        """
        try:
            with locked(folder):  # all ranks of a run come here
                for record in records:
                    if not _DIGEST.fullmatch(record.sha256):
                        raise UserError(
                            f"{self._name}: its manifest gives {record.name} the sha256 "
                            f"{record.sha256[:80]!r}; wanted 64 hexadecimal digits"
                        )
                    blob = self._cache / "tars" / record.sha256
                    if not blob.is_file():
                        self._download(record, folder / f".{record.name}.partial", blob)
                    _link(folder / record.name, blob)
        except OSError as error:
            raise self._unwritable(error) from None
        return folder

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"{self._cache}: shards cannot be kept there ({error}); set HF_HOME to another place"
        )

    def _address(self, file: str) -> str:
        if self._listed is None:
            return f"{self._name.rstrip('/')}/{quote(file)}"
        if file not in self._listed:
            raise UserError(f"{self._name}: names no {file}, which its manifest does; add its URL")
        return self._listed[file]

    def _manifest(self) -> bytes:
        """Its content, if it is one."""
        url = self._address(MANIFEST)
        content = read_url(url, _MOST_MANIFEST)
        wanted = "wanted the manifest of a folder of shards"
        values = parse_json(content, shown(url), wanted)
        Manifest.read(values, shown(url))
        return content

    def _download(self, record: ShardRecord, partial: Path, blob: Path) -> None:
        """Fetch a tar, going on where an earlier try broke off; keep it if it is what it should."""
        url = self._address(record.name)
        if self._offline:
            raise UserError(f"{shown(url)}: not in the cache ({self._cache}), and offline")
        download(url, partial, record.bytes)
        with partial.open("rb") as file:
            came = hashlib.file_digest(file, "sha256").hexdigest()
        if came != record.sha256:
            partial.unlink()
            raise UserError(
                f"{shown(url)}: came with checksum {came[:12]}, the manifest says "
                f"{record.sha256[:12]}; it was thrown away, try again"
            )
        blob.parent.mkdir(exist_ok=True)
        publish({partial: blob})


def _read_list(path: Path) -> dict[str, str]:
    """URLs by the names of their files."""
    try:
        with path.open("rb") as content:
            lines = content.read(_MOST_LIST).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no list of URLs ({error})") from None
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        url = line.strip()
        if not url or url.startswith("#"):
            continue
        parts = url_parts(url)
        file = unquote(parts.path.rpartition("/")[2])
        if not url.startswith(SCHEMES) or parts.username or not parts.hostname or not file:
            told = shown(url) if parts.hostname else url
            raise UserError(
                f"{path}: line {number} is {told[:80]!r}; wanted the https URL of a file, or a "
                "folder with manifest.json in place of a list"
            )
        if file in listed:
            raise UserError(f"{path}: line {number} names {file} again; leave one of them out")
        listed[file] = url
    return listed


def _check_folder(url: str) -> None:
    parts = url_parts(url)
    if parts.query or parts.fragment or parts.username or not parts.hostname:
        raise UserError(
            f"{shown(url)}: wanted https://HOST/FOLDER/ alone; signed URLs go into a list, a "
            "text file with one per line"
        )


def _link(path: Path, target: Path) -> None:
    """A link in place of the one that may be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_link(path, os.path.relpath(target, path.parent))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
