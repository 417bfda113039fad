"""Where The Well keeps the files of a split: `data/{train,valid,test}/*.hdf5`."""

from pathlib import Path

from data_shards.card import Split
from data_shards.errors import UserError

FOLDERS: dict[Split, str] = {"train": "train", "validation": "valid", "test": "test"}
_SUFFIXES = (".hdf5", ".h5")


def split_files(split: Split, path: Path) -> tuple[Path, ...]:
    """The HDF5 files of a split, by name.

    Args:
        split: train, validation or test.
        path: a data set's folder, its `data` folder, a folder of files, or one file.

    Raises:
        UserError: there are none.
    """
    if path.is_file():
        return (path,)
    name = FOLDERS[split]
    for folder in (path / "data" / name, path / name, path):
        if folder.is_dir():
            if folder == path and path.name in FOLDERS.values() and path.name != name:
                raise UserError(f"{path}: is the {path.name} split, wanted {name}; give its parent")
            files = tuple(f for f in sorted(folder.iterdir()) if f.suffix in _SUFFIXES)
            if files:
                return files
    raise UserError(
        f"{path}: holds no data/{name}/*.hdf5; give the folder of a data set of The Well, or a file"
    )
