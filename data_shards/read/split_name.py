"""Which split a file is of, by its name: `toy_train.hdf5`, `valid/data_0.hdf5`.

Whoever gives a file itself may give any; where its name says that it is of
another split than the wanted one, it would end up in two splits.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from data_shards.card import Split
from data_shards.errors import UserError

WORDS: dict[str, Split] = {
    "train": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_FOLDERS = 2  # above a file; those further up have names for other reasons


def named_split(path: Path) -> Split | None:
    """The split that a path names, None where it names none or several.

    A file says it by any word of its name, a folder by the last one: `toy_train`,
    but not `test_of_my_disk`.

    Args:
        path: a file, or a folder of one split's files.
    """
    path = path.absolute()
    if not path.is_dir() and (said := file_split(path)):
        return said
    folders = [path] if path.is_dir() else []
    for folder in (*folders, *path.parents[:_FOLDERS]):
        last = _words(folder.name)[-1:]
        if last and last[0] in WORDS:
            return WORDS[last[0]]
    return None


def proved(split: Split, path: Path) -> bool:
    """Whether a path names the wanted split; False where it names none.

    Raises:
        UserError: it names another one.
    """
    said = named_split(path)
    if said not in (None, split):
        raise UserError(
            f"{path}: by its name it is the {said} split, wanted {split}; give the {split} files, "
            "or rename it if its name is wrong"
        )
    return said is not None


def of_split(split: Split, files: Iterable[Path]) -> tuple[bool, tuple[Path, ...]]:
    """Files of a folder that holds those of several splits, or of none in particular.

    Returns:
        Whether their names say that they are of the split, and the files of it.

    Raises:
        UserError: some names say a split and others do not.
    """
    said = {file: file_split(file) for file in files}
    if not any(said.values()):
        return False, tuple(said)
    for file, name in said.items():
        if name is None:
            raise UserError(
                f"{file}: its name says no split (train, valid, test), those beside it do; move "
                "it away, or name all of them"
            )
    return True, tuple(file for file, name in said.items() if name == split)


def file_split(file: Path) -> Split | None:
    """The split that the name of a file says, None where it says none or several."""
    words = {WORDS[word] for word in _words(file.name) if word in WORDS}
    return words.pop() if len(words) == 1 else None


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
