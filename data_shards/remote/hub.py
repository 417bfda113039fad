"""The Hugging Face Hub: names of repositories in, verified files out, and files in one commit up.

Everything that can go wrong on the way becomes one line. A file that came is
compared with the checksum that the Hub keeps of it, and thrown away if it differs.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, cast

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name

from data_shards.errors import UserError

# What of a repository makes a checkpoint folder; never anything that would be unpickled.
CHECKPOINT_FILES = (
    "config.json",
    "SHA256SUMS",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "fingerprints.json",
    "README.md",
    "LICENSE",
    ".eval_results/*.yaml",
)

_SHA256, _SHA1 = 64, 40  # hex digits: of files in large file storage, of files in git
_CHUNK = 1 << 22
# Errors of the transport, whose library differs between versions of the Hub's, and of the disk.
_TRANSPORT = cast("tuple[type[Exception], ...]", HfHubHTTPError.__bases__)
_MENDABLE: tuple[type[Exception], ...] = (*_TRANSPORT, RuntimeError, ValueError)


def snapshot(
    repo: str,
    patterns: Sequence[str],
    *,
    kind: Literal["model", "dataset"] = "model",
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> Path:
    """Download some files of a repository into the Hub's cache.

    Args:
        repo: as "owner/name".
        patterns: of the files wanted.
        kind: of repository.
        revision: branch, tag or commit; the main branch by default.
        cache_dir: instead of the Hub's own cache.
        local_files_only: ask nobody, take what the cache has.
        token: of a user; by default the one that `hf auth login` has kept.
        endpoint: address of another hub.

    Returns:
        The folder of that revision in the cache.

    Raises:
        UserError: no such repository or revision, no permission, no connection, or a file
            that is not what the Hub says.
    """
    with _one_line(repo, "the hub did not give it"):
        cache = Path(cache_dir or constants.HF_HUB_CACHE)
        blobs = cache / repo_folder_name(repo_id=repo, repo_type=kind) / "blobs"
        known = {path.name for path in blobs.glob("*")}
        folder = Path(
            snapshot_download(
                repo,
                repo_type=kind,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                token=token,
                endpoint=endpoint,
                allow_patterns=list(patterns),
            )
        )
    _check_downloads(repo, folder, known)
    return folder


def upload(
    folder: Path,
    files: Iterable[str],
    repo: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    message: str,
    stale: Sequence[str] = (),
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> str:
    """Put files into a model's repository, all of them in one commit.

    Args:
        folder: that they lie in.
        files: their names in it, and in the repository.
        repo: as "owner/name"; made if there is none.
        private: of a repository that is made; by default as its owner has set.
        revision: branch, which must exist; the main branch by default.
        message: of the commit.
        stale: patterns of files that go, if they are not among `files`.
        token: of a user who may write; by default the one that `hf auth login` has kept.
        endpoint: address of another hub.

    Returns:
        The commit's address.

    Raises:
        UserError: no permission, no connection, or the Hub refuses a file.
    """
    api = HfApi(endpoint=endpoint, token=token)
    names = list(files)
    with _one_line(repo, "nothing was pushed, the hub did not take it"):
        api.create_repo(repo, private=private, exist_ok=True)
        there = set(api.list_repo_files(repo, revision=revision)) - set(names)
        gone = [name for name in sorted(there) if any(fnmatch(name, each) for each in stale)]
        commit = api.create_commit(
            repo,
            [
                *(CommitOperationDelete(name) for name in gone),
                *(CommitOperationAdd(name, folder / name) for name in names),
            ],
            commit_message=message,
            revision=revision,
        )
    return str(commit.commit_url)


def upload_folder(
    folder: Path,
    patterns: Sequence[str],
    repo: str,
    *,
    private: bool | None = None,
    message: str,
    token: str | bool | None = None,
    endpoint: str | None = None,
) -> str:
    """Put a folder of any size into a data set's repository, in as many commits as it takes.

    What is there already is not sent again, so that a push that was cut off goes on
    where it was.

    Args:
        folder: of the data set.
        patterns: of the files that go up.
        repo: as "owner/name"; made if there is none.
        private: of a repository that is made; by default as its owner has set.
        message: of the commits.
        token: of a user who may write; by default the one that `hf auth login` has kept.
        endpoint: address of another hub.

    Returns:
        The data set's address.

    Raises:
        UserError: no permission, no connection, or the Hub refuses a file.
    """
    api = HfApi(endpoint=endpoint, token=token)
    with _one_line(repo, "not all was pushed, the hub did not take it"):
        address = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(patterns),
            commit_message=message,
        )
    return str(address)


def _check_downloads(repo: str, folder: Path, known: set[str]) -> None:
    """Compare what has just come with the checksums that the cache names files by.

    All that differs goes at once: what stays counts as compared the next time.
    """
    faults = []
    for path in sorted(folder.rglob("*")):
        name = Path(os.readlink(path)).name if path.is_symlink() else ""
        if len(name) not in (_SHA256, _SHA1) or name in known or not path.is_file():
            continue  # no checksum is known, or it was compared when it came
        came = _checksum(path, len(name))
        if came != name:
            wrong = path.resolve()
            path.unlink()
            wrong.unlink(missing_ok=True)
            faults.append(f"{path.name} came with checksum {came[:12]}, the hub says {name[:12]}")
    if faults:
        raise UserError(f"{repo}: {'; '.join(faults)}; thrown away, try again")


def _checksum(path: Path, digits: int) -> str:
    """sha256 of a file, or the sha1 that git would give it."""
    digest = hashlib.sha256() if digits == _SHA256 else hashlib.sha1(usedforsecurity=False)
    if digits == _SHA1:
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _one_line(repo: str, what: str) -> Iterator[None]:
    """Turn whatever the Hub's library raises into a user's error; its warnings say it twice."""
    if repo.count("/") != 1:
        raise UserError(f"{repo}: not a hub id; wanted owner/name")
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except HFValidationError:
        raise UserError(f"{repo}: no such folder, and not a hub id (owner/name)") from None
    except _MENDABLE as error:
        raise UserError(f"{repo}: {what}: {_reason(error)}") from None
    finally:
        logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """What went wrong and what to do, of an error or of what caused it."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    for each in chain:
        known = _known_reason(each)
        if known:
            return known
    lines = [line.strip() for each in chain for line in str(each).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _known_reason(error: BaseException) -> str | None:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    log_in = "log in with `hf auth login`, or give a token"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set; unset it, or use what is in the cache"
    if isinstance(error, LocalTokenNotFoundError):
        return f"no token is kept here; {log_in}"
    if isinstance(error, GatedRepoError):
        return "its owner asks for consent; give it on the repository's page, then " + log_in
    if isinstance(error, RepositoryNotFoundError):
        return f"no such repository, or a private one (status {status}); fix its name, or {log_in}"
    if isinstance(error, RevisionNotFoundError):
        return f"no such revision (status {status}); fix its name"
    if status in (401, 403):
        return f"no permission (status {status}); {log_in} that may do this"
    if isinstance(error, HfHubHTTPError) and status is not None:
        said = getattr(error, "server_message", None)
        return f"status {status}" + (f", {' '.join(str(said).split())}" if said else "")
    if isinstance(error, _TRANSPORT[0]):
        text = " ".join(str(error).split()) or type(error).__name__
        return f"no connection, or one that broke ({text}); try again"
    return None
