"""Published raw files: a corpus's card in, its files in a folder out, as `convert` reads them.

A file with an address of its own comes by that address and is held to the md5 that its authors
list beside it. Files of a data set on the Hugging Face Hub come from there, held to the checksums
that the Hub keeps, and stay in its cache; the folder gets links to them. What is there already is
compared and not fetched again; a transfer that broke off goes on where it was.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from data_shards.atomic import publish, replace_link
from data_shards.card import HUB_DATASETS, CorpusCard, PublishedFile
from data_shards.errors import UserError
from data_shards.remote.hub import snapshot
from data_shards.remote.web import check_room, download, shown, size_of
from data_shards.shards.manifest import locked

_RAW = ("*.h5", "*.hdf5", "*.nc", "*.zip", "*.mat", "*.npy", "*.npz", "*.yaml")

Tell = Callable[[str], None]


def fetch_published(
    card: CorpusCard, out: Path, patterns: Sequence[str] = (), tell: Tell = lambda line: None
) -> list[Path]:
    """Bring a corpus's published files into a folder.

    Args:
        card: of the corpus.
        out: the folder; made if missing.
        patterns: of the files that are wanted, by their published names; all by default.
        tell: takes a line per file that was there already.

    Returns:
        The files, by their published names.

    Raises:
        UserError: nothing is published at an address that a program can fetch, no file is called
            so, a file is not to be had or not what its checksum says, or the folder is not ours.
    """
    published = card.published
    if published is None:
        raise UserError(
            f"{card.name}: its card names no published files; simulate it with `foundation shards "
            f"generate {card.name}`"
        )
    files = [file for file in published.files if file.url]
    if not published.can_be_fetched:
        where = f": get them by hand from {published.url}" if published.url else ""
        raise UserError(f"{card.name}: its files have no address that a program can fetch{where}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with locked(out):
            if files:
                return [_fetch(file, out, tell) for file in _chosen(card, files, patterns)]
            return _from_hub(card, out, patterns)
    except OSError as error:
        raise UserError(f"{out}: files cannot be written there ({error}); see to it") from None


def _chosen(
    card: CorpusCard, files: Sequence[PublishedFile], patterns: Sequence[str]
) -> list[PublishedFile]:
    chosen = [
        file for file in files if not patterns or any(fnmatch(file.name, one) for one in patterns)
    ]
    if not chosen:
        names = ", ".join(file.name for file in files)
        raise UserError(f"{card.name}: no file is called {' or '.join(patterns)}, only {names}")
    return chosen


def _fetch(file: PublishedFile, out: Path, tell: Tell) -> Path:
    assert file.url is not None
    path = out / file.name
    if path.is_file():
        if file.md5 is None or _md5(path) == file.md5:
            tell(f"there already: {path}")
            return path
        raise UserError(
            f"{path}: is there with another checksum than the published {file.md5[:12]}; remove "
            "it, or choose another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    size = size_of(file.url)
    check_room(out, size - (partial.stat().st_size if partial.exists() else 0), file.name)
    download(file.url, partial, size)
    if file.md5 is not None and (came := _md5(partial)) != file.md5:
        partial.unlink()
        raise UserError(
            f"{shown(file.url)}: came with md5 {came[:12]}, its authors say {file.md5[:12]}; it "
            "was thrown away, try again"
        )
    publish({partial: path})
    if file.md5 is None:
        tell(f"{file.name}: its authors publish no checksum; it was compared with nothing")
    return path


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _from_hub(card: CorpusCard, out: Path, patterns: Sequence[str]) -> list[Path]:
    published = card.published
    assert published is not None
    assert published.url is not None
    wanted = patterns or [file.name for file in published.files] or _RAW
    repo = published.url.removeprefix(HUB_DATASETS).strip("/")
    folder = snapshot(repo, wanted, kind="dataset")
    found = [
        name
        for name in sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        if any(fnmatch(str(name), one) for one in wanted)
    ]
    if not found:
        raise UserError(f"{card.name}: {repo} has no file called {' or '.join(wanted)}")
    for name in found:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        target = os.path.realpath(folder / name)
        if (out / name).exists() and not (out / name).is_symlink():
            raise UserError(f"{out / name}: is there already; remove it or choose another folder")
        replace_link(out / name, target)
    return [out / name for name in found]
