"""Files of the web: a URL in, bytes or a file out; whatever goes wrong is one line.

A download goes on where an earlier one broke off, if the server can. What came is for the
caller to compare with a checksum.
"""

import shutil
import time
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from data_shards.errors import UserError

SCHEMES = ("https://", "http://")
_TIMEOUT_S = 30.0  # without a byte
_TRIES = 5  # in a row that bring nothing
_PAUSE_S = 1.0  # between two such
_CHUNK = 1 << 20
_REFUSED = (401, 403)
_GONE = (404, 410)
_BEYOND = 416  # of a range
_PARTIAL = 206


class UnreachableError(UserError):
    """Nobody answers, or nobody who is well; another time it may be had."""


def url_parts(url: str) -> SplitResult:
    """A URL taken apart.

    Raises:
        UserError: it is none.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UserError(f"{url}: no URL ({error}); fix it") from None


def shown(url: str) -> str:
    """A URL as it may be told: without what is secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_url(url: str, most: int) -> bytes:
    """What is at a URL.

    Args:
        url: of a file.
        most: bytes that are read.

    Raises:
        UnreachableError: nobody answers.
        UserError: no permission, or nothing there.
    """
    with _opened(url) as answer:
        return _read(answer, most, url)


def size_of(url: str) -> int:
    """Bytes of a file, as its server says.

    A request for the file that is not read: signed addresses, to which many servers lead on, take
    no HEAD.

    Raises:
        UnreachableError: nobody answers.
        UserError: no permission, nothing there, or the server does not say.
    """
    with _opened(url) as answer:
        length = getattr(answer, "headers", {}).get("Content-Length", "")
    if not length.isdecimal():
        raise UserError(f"{shown(url)}: the server does not say how large it is; get it by hand")
    return int(length)


def check_room(folder: Path, size: int, name: str) -> None:
    """Refuse a download that the disk cannot hold.

    Raises:
        UserError: too little is free.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder}: {name} takes {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; make room "
            "or choose another folder"
        )


def download(url: str, path: Path, size: int) -> None:
    """Fetch a file, going on with what an earlier call left of it.

    Args:
        url: of it.
        path: where it grows; kept as far as it came if this fails.
        size: in bytes.

    Raises:
        UserError: no permission, nothing there, or no progress in several tries.
    """
    name = url_parts(url).path.rpartition("/")[2]
    bar = tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None)  # on a terminal
    tries = _TRIES
    with path.open("ab") as file, bar:
        while (there := file.tell()) < size:
            bar.n = there
            try:
                _append(url, file, size, bar)
                fault = f"{shown(url)}: ended early; try again"
            except UnreachableError as error:
                fault = str(error)
            if file.tell() > there:
                tries = _TRIES
                continue
            tries -= 1
            if not tries:
                raise UserError(f"{fault} ({file.tell()} of {size} bytes are kept)")
            time.sleep(_PAUSE_S)


def _opened(url: str, start: int = 0) -> IO[bytes]:
    """An answer, from some byte on if the server can (its `status` tells)."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        answer: IO[bytes] = urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if error.code == _BEYOND and start:
            return _opened(url)
        if error.code in _REFUSED:
            fault = f"no permission (status {error.code}); ask its owner, or for a signed URL"
        elif error.code in _GONE:
            fault = f"nothing there (status {error.code}); fix the URL"
        else:
            raise UnreachableError(f"{shown(url)}: status {error.code}; try again") from None
        raise UserError(f"{shown(url)}: {fault}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _broken(url, error) from None
    return answer


def _append(url: str, file: IO[bytes], most: int, bar: "tqdm[object]") -> None:
    """Add to a file what is missing of it, or all of it anew if a server cannot go on."""
    with _opened(url, file.tell()) as answer:
        if file.tell() and getattr(answer, "status", None) != _PARTIAL:
            file.truncate(0)
            file.seek(0)
            bar.n = 0
        while piece := _read(answer, min(_CHUNK, most - file.tell()), url):
            file.write(piece)
            bar.update(len(piece))


def _read(answer: IO[bytes], most: int, url: str) -> bytes:
    try:
        return answer.read(most)
    except (OSError, HTTPException) as error:
        raise _broken(url, error) from None


def _broken(url: str, error: Exception) -> UnreachableError:
    reason = error.reason if isinstance(error, URLError) else error
    return UnreachableError(
        f"{shown(url)}: no connection, or one that broke ({reason or type(error).__name__}); "
        "try again"
    )
