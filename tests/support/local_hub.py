"""A hub on this machine: real HTTP, as much of the Hub's interface as its library calls here.

Repositories are kept in memory. Files of weights and shards go through large file
storage, everything else through the commit itself. Faults are switched on by name.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants
from huggingface_hub.utils import _http
from loopback import listening

TOKEN = "hf_a_token_that_may_write"
LARGE = (".safetensors", ".tar")


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    kind: str
    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])  # the newest last
    messages: list[str] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1]

    def sha(self, number: int) -> str:
        return hashlib.sha1(f"{id(self)} {number}".encode()).hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of "main" or a commit."""
        for number, files in enumerate(self.commits):
            if revision == self.sha(number):
                return revision, files
        return (self.sha(len(self.commits) - 1), self.files) if revision == "main" else None


class LocalHub:
    """What the server holds, what was asked of it, and which faults it has."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}  # large files by sha256
        self.requests: list[str] = []
        self.faults: set[str] = set()  # down, forbid, gate;
        # of downloads: drop, drop_once, corrupt, shorten; of uploads: drop_upload, corrupt_upload

    def add(self, name: str, files: dict[str, bytes], private: bool = False) -> Repository:
        repository = Repository("model", private, [files])
        self.repositories[name] = repository
        return repository


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    """A hub that answers on a free port of this machine."""
    hub = LocalHub()

    handler = type("Handler", (_Handler,), {"hub": hub})
    with listening(handler) as hub.endpoint:
        yield hub


@contextmanager
def only_hub(monkeypatch: Any, folder: Path) -> Iterator[LocalHub]:
    """The one hub that the Hub's library knows, with an empty cache and no token kept.

    Args:
        monkeypatch: of pytest.
        folder: for the cache.
    """
    with running_hub() as hub:
        template = f"{hub.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        for name, value in (
            ("ENDPOINT", hub.endpoint),
            ("HUGGINGFACE_CO_URL_TEMPLATE", template),
            ("HF_HUB_CACHE", str(folder / "cache")),
            ("HF_TOKEN_PATH", str(folder / "token")),
            # Its other way, Xet, speaks to a storage of its own that cannot be stood in for.
            ("HF_HUB_DISABLE_XET", True),
        ):
            monkeypatch.setattr(constants, name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)  # between two tries
        yield hub


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.body = self._read()
        if "down" in self.hub.faults:
            self._drop()
            return
        for start, handle in (
            ("/api/repos/create", self._create),
            ("/api/validate-yaml", self._validate),
            ("/storage/", self._store),
            ("/verify", self._verify),
            ("/api/", self._api),
        ):
            if path.startswith(start):
                handle(path)
                return
        if path.endswith(".git/info/lfs/objects/batch"):
            self._batch(path)
        else:
            self._resolve(path)

    def _read(self) -> bytes:
        """The request's body, which files come in as chunks of hexadecimal length."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _may_write(self) -> bool:
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._error(401, "Invalid username or password.")
            return False
        if "forbid" in self.hub.faults:
            self._error(403, "You don't have the rights to create or write here.")
            return False
        return True

    def _create(self, _: str) -> None:
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name, kind = f"{asked['organization']}/{asked['name']}", asked.get("type", "model")
        url = f"{self.hub.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if name in self.hub.repositories:
            self._json({"error": "You already created this repo", "url": url}, 409)
            return
        private = asked.get("visibility") == "private"
        self.hub.repositories[name] = Repository(kind, private)
        self._json({"url": url})

    def _validate(self, _: str) -> None:
        self._json({"errors": [], "warnings": []})

    def _api(self, path: str) -> None:
        """/api/models/OWNER/NAME/VERB/REVISION"""
        kind, owner, name, *rest = [*path.removeprefix("/api/").split("/"), "", ""]
        if not name:
            self._error(404, f"no such thing {path}")
            return
        rest = [part for part in rest if part]
        repository = self._find(f"{owner}/{name}", kind.removesuffix("s"))
        if repository is None:
            return
        verb, revision = (*rest, "main", "main")[:2] if rest else ("revision", "main")
        found = repository.at(revision)
        if found is None:
            self._error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            return
        sha, files = found
        if verb == "revision":
            siblings = [{"rfilename": name} for name in files]
            self._json({"id": f"{owner}/{name}", "sha": sha, "siblings": siblings, "tags": []})
        elif verb == "tree":
            self._json([_tree_entry(name, content) for name, content in files.items()])
        elif verb == "preupload":
            if self._may_write():
                self._json({"files": [_mode(f["path"], files) for f in self._asked("files")]})
        elif verb == "commit":
            if self._may_write():
                self._commit(repository, f"{owner}/{name}")
        else:
            self._error(404, f"no such verb {verb}")

    def _asked(self, key: str) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = json.loads(self.body)[key]
        return asked

    def _commit(self, repository: Repository, name: str) -> None:
        files = dict(repository.files)
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                repository.messages.append(value["summary"])
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
            else:
                files.pop(value["path"])
        repository.commits.append(files)
        sha = repository.sha(len(repository.commits) - 1)
        url = f"{self.hub.endpoint}/{name}/commit/{sha}"
        self._json({"commitUrl": url, "commitOid": sha})

    def _batch(self, _: str) -> None:
        if not self._may_write():
            return
        objects: list[dict[str, Any]] = []
        for each in self._asked("objects"):
            actions: dict[str, Any] = {
                "upload": {"href": f"{self.hub.endpoint}/storage/{each['oid']}"},
                "verify": {"href": f"{self.hub.endpoint}/verify"},
            }
            if each["oid"] in self.hub.stored:
                objects.append(each)
            else:
                objects.append({**each, "actions": actions})
        self._json({"transfer": "basic", "objects": objects})

    def _store(self, path: str) -> None:
        if "drop_upload" in self.hub.faults:
            self._drop()
            return
        content = self.body[:-1] if "corrupt_upload" in self.hub.faults else self.body
        self.hub.stored[path.rpartition("/")[2]] = content
        self._send(200, b"")

    def _verify(self, _: str) -> None:
        asked = json.loads(self.body)
        content = self.hub.stored[asked["oid"]]
        if len(content) != asked["size"] or hashlib.sha256(content).hexdigest() != asked["oid"]:
            del self.hub.stored[asked["oid"]]
            self._error(400, "the object's sha256 is not the one announced")
            return
        self._json({})

    def _resolve(self, path: str) -> None:
        """/[datasets/]OWNER/NAME/resolve/REVISION/FILE"""
        plain = path.removeprefix("/datasets")
        kind = "model" if plain == path else "dataset"
        owner, name, _, revision, file = plain.lstrip("/").split("/", 4)
        repository = self._find(f"{owner}/{name}", kind)
        if repository is None:
            return
        found = repository.at(revision)
        if found is None or file not in found[1]:
            code = "EntryNotFound" if found else "RevisionNotFound"
            self._error(404, f"{file} not found", code)
            return
        sha, content = found[0], found[1][file]
        etag = _etag(file, content)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        large = file.endswith(LARGE) and self.command == "GET"
        if large and "corrupt" in self.hub.faults:
            content = content[:-1] + bytes([content[-1] ^ 1])
        sent = content[start:]
        if large and "shorten" in self.hub.faults:
            sent = sent[: len(sent) // 2]
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if large and {"drop", "drop_once"} & self.hub.faults:
            self.hub.faults.discard("drop_once")
            self._send(206 if start else 200, sent, headers, cut=len(sent) // 2)
            return
        self._send(206 if start else 200, sent, headers)

    def _find(self, name: str, kind: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        known = self.headers.get("authorization") == f"Bearer {TOKEN}"
        if repository is None or repository.kind != kind or (repository.private and not known):
            self._error(401, "Repository not found", "RepoNotFound")  # which, is nobody's business
            return None
        if "gate" in self.hub.faults:
            self._error(403, "Access to this model is restricted.", "GatedRepo")
            return None
        return repository

    def _json(self, values: Any, status: int = 200) -> None:
        self._send(status, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, message: str, code: str | None = None) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        """An answer; `cut`: break off after so many bytes of it."""
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()


def _etag(name: str, content: bytes) -> str:
    large = name.endswith(LARGE)
    return hashlib.sha256(content).hexdigest() if large else git_sha1(content)


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": git_sha1(content),
    }
    if name.endswith(LARGE):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return entry


def _mode(name: str, files: dict[str, bytes]) -> dict[str, Any]:
    mode = {"path": name, "shouldIgnore": False}
    mode["uploadMode"] = "lfs" if name.endswith(LARGE) else "regular"
    if name in files:
        mode["oid"] = _etag(name, files[name])
    return mode
