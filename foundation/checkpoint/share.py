"""Sharing: checkpoints to and from the Hub, proven before they go or stay."""

import shutil
from pathlib import Path
from typing import Any

from data_shards.atomic import new_folder
from data_shards.errors import UserError
from data_shards.remote.hub import CHECKPOINT_FILES, upload
from foundation.checkpoint.files import INDEX, WEIGHTS
from foundation.checkpoint.folder import find_folder, load_folder
from foundation.checkpoint.sums import SUMS

_WEIGHT_FILES = (WEIGHTS, INDEX, "model-*-of-*.safetensors", SUMS)


def push_checkpoint(folder: Path, repo: str, **hub: Any) -> str:
    """Put a checkpoint folder on the Hub in one commit, if `from_pretrained` would take it.

    Weights of another form that the repository holds from before go in the same commit.

    Args:
        folder: of the checkpoint; only what belongs to one is sent.
        repo: as "owner/name"; made if there is none.
        hub: `private`, `revision`, `message`, `token`, `endpoint`, as `hub.upload`.

    Returns:
        The commit's address.

    Raises:
        UserError: the folder is no whole checkpoint, or the Hub does not take it.
    """
    load_folder(folder)
    files = _files(folder)
    message = hub.pop("message", None) or f"Push {folder.name}"
    return upload(folder, files, repo, message=message, stale=_WEIGHT_FILES, **hub)


def pull_checkpoint(repo: str, out: Path, **hub: Any) -> Path:
    """Copy a checkpoint from the Hub into a folder of one's own: whole, or not at all.

    Args:
        repo: as "owner/name".
        out: folder to make.
        hub: `revision`, `cache_dir`, `local_files_only`, `token`, `endpoint`, as `hub.snapshot`.

    Returns:
        The folder.

    Raises:
        UserError: it cannot be had, is no whole checkpoint, or `out` is there already.
    """
    check_new(out)
    if Path(repo).exists():
        raise UserError(f"{repo}: is a folder here; wanted a hub id (owner/name)")
    source = find_folder(repo, **hub)
    load_folder(source)
    try:
        with new_folder(out) as partial:
            for name in _files(source):
                (partial / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, partial / name)
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error}); choose another place") from None
    return out


def check_new(out: Path) -> None:
    """Refuse to write where something is, and where nothing can be.

    Raises:
        UserError: it exists and is not an empty folder, or its parent cannot be made.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise UserError(f"{out}: exists already; choose another name, nothing is overwritten")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: its folder cannot be made ({error})") from None


def _files(folder: Path) -> list[str]:
    """Files of a folder that make a checkpoint, by their names in it."""
    found = {path for pattern in CHECKPOINT_FILES for path in folder.glob(pattern)}
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())
