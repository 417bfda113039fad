"""Where The Well keeps the files of a split: `data/{train,valid,test}/*.hdf5`."""

from pathlib import Path

from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.read.split_name import of_split, proved

FOLDERS: dict[Split, str] = {"train": "train", "validation": "valid", "test": "test"}
_SUFFIXES = (".hdf5", ".h5")


def split_files(split: Split, path: Path) -> tuple[bool, tuple[Path, ...]]:
    """The HDF5 files of a split, by name.

    Args:
        split: train, validation or test.
        path: a data set's folder, its `data` folder, a folder of files, or one file.

    Returns:
        Whether folders or names say that they are the split's, and the files.

    Raises:
        UserError: there are none, or names say that they are another split's.
    """
    if path.is_file():
        return proved(split, path), (path,)
    name = FOLDERS[split]
    for folder in (path / "data" / name, path / name):
        if files := _hdf5_files(folder):
            return True, files
    named, files = of_split(split, _hdf5_files(path))
    if files:
        return named or proved(split, path), files
    raise UserError(
        f"{path}: holds no data/{name}/*.hdf5; give the folder of a data set of The Well, or a file"
    )


def _hdf5_files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(file for file in sorted(folder.iterdir()) if file.suffix in _SUFFIXES)
