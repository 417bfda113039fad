"""A folder over real HTTP, with ranges, signatures, and faults that are switched on by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from loopback import listening

SIGNATURE = "signature=of-the-owner"


class FileServer:
    """What is served, what was asked for, and which faults there are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoint = ""
        self.requests: list[str] = []  # "FILE" or "FILE from BYTE"
        self.faults: set[str] = set()  # down, fail, forbid (whoever does not sign), no_range;
        # of all but the manifest: drop, drop_once, corrupt, shorten

    @property
    def url(self) -> str:
        """Of the folder."""
        return f"{self.endpoint}/some/shards/"

    def fetched(self) -> list[str]:
        """Tars that were asked for."""
        return [request for request in self.requests if ".tar" in request]


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """A server on a free port of this machine."""
    files = FileServer(folder)
    handler = type("Handler", (_Handler,), {"files": files})
    with listening(handler) as files.endpoint:
        yield files


class _Handler(BaseHTTPRequestHandler):
    files: FileServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        faults, address = self.files.faults, urlsplit(self.path)
        name = unquote(address.path.rpartition("/")[2])
        asked = self.headers.get("Range", "bytes=0-")[6:].split("-")[0]
        start = 0 if "no_range" in faults else int(asked)
        self.files.requests.append(f"{name} from {asked}" if int(asked) else name)
        path = self.files.folder / name
        if "down" in faults:
            return  # closes the connection
        if "fail" in faults:
            self.send_error(503)
        elif "forbid" in faults and address.query != SIGNATURE:
            self.send_error(403)
        elif not address.path.startswith("/some/shards/") or not path.is_file():
            self.send_error(404)
        else:
            self._send(path.read_bytes(), start, faults if name != "manifest.json" else set())

    def _send(self, content: bytes, start: int, faults: set[str]) -> None:
        if "corrupt" in faults:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if "shorten" in faults:
            content = content[: len(content) // 2]
        if start and start >= len(content):
            self.send_error(416)
            return
        sent = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(sent)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if {"drop", "drop_once"} & faults:
            sent = sent[: len(sent) // 2] if "drop_once" in faults else b""
            self.files.faults.discard("drop_once")
        self.wfile.write(sent)
