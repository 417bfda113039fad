"""A published `.pth` file: a path in, named tensors and training arguments out; nothing runs.

The file is a zip of pickled structure and raw tensors, and whoever wrote it
may mean harm. So it is looked at before it is opened: the zip by its own
directory, the pickle by its opcodes, which are read and not followed. What
passes goes to torch with `weights_only`, mapped into memory, so that a size
the file merely claims costs nothing.
"""

import argparse
import pickletools
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.untrusted import check_plain

# Structure alone: the largest published network and its optimiser need well below 1 MiB.
_PICKLE_BYTES = 16 * 2**20
_LONGEST_REASON = 160

_NEEDED = re.compile(
    r"collections OrderedDict|argparse Namespace"
    r"|torch\._utils (_rebuild_tensor_v2|_rebuild_parameter)"
    r"|torch (Float|Half|BFloat16|Double|Long|Int|Short|Char|Byte|Bool)Storage"
)


@dataclass(frozen=True)
class PublishedFile:
    """What a published file holds.

    Attributes:
        path: of the file.
        weights: tensors by published name, mapped and not yet read.
        args: the authors' command line, None if the file has none.
        size: bytes.
        sha256: hexadecimal digest of the file.
    """

    path: Path
    weights: dict[str, Tensor]
    args: dict[str, Any] | None
    size: int
    sha256: str


def open_published(path: Path) -> PublishedFile:
    """Look at a published checkpoint and map its tensors.

    Args:
        path: `{'model': state dict, 'args': Namespace, ...}`, or a state dict alone, as
            `torch.save` of 1.6 or later writes it; prefixes `module.` are taken off.

    Raises:
        UserError: not such a file, damaged, or one that would do more than hold weights.
    """
    _check_beginning(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a file is said in one line, by us
        sizes = _check_zip(path)
        whole = _unpickled(path)
    if not isinstance(whole, dict):
        raise UserError(f"{path}: holds {_kind(whole)}, wanted a dict with 'model' and 'args'")
    weights = _tensors(path, whole.get("model", whole))
    _check_sizes(path, weights, sizes)
    args = whole.get("args") if "model" in whole else None
    if args is not None and not isinstance(args, argparse.Namespace | dict):
        raise UserError(f"{path}: 'args' is {_kind(args)}, wanted an argparse.Namespace")
    named = vars(args) if isinstance(args, argparse.Namespace) else args
    return PublishedFile(path, weights, named, path.stat().st_size, _digest(path))


def _check_beginning(path: Path) -> None:
    try:
        if path.exists() and not path.is_dir():
            check_plain(path)
        with path.open("rb") as file:
            first = file.read(32)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: not readable: {error.strerror}") from None
    if first.startswith(b"PK\x03\x04"):
        return
    if first.startswith(b"version https://git-lfs"):
        raise UserError(f"{path}: a Git LFS pointer, not the weights; fetch them: git lfs pull")
    if first.startswith(b"\x80"):
        raise UserError(
            f"{path}: a bare pickle, which is not opened: it can run anything; published "
            "checkpoints are zip files, as torch.save of 1.6 or later writes them"
        )
    raise UserError(f"{path}: not a checkpoint as torch.save of 1.6 or later writes it (a zip)")


def _check_zip(path: Path) -> list[int]:
    """Sizes of the raw tensors of an archive that is what torch writes, in bytes."""
    try:
        with ZipFile(path) as archive:
            records = archive.infolist()
            pickle = _check_records(path, records)
            _check_pickle(path, archive.read(pickle))
            damaged = archive.testzip()
    # zipfile's way with nonsense is any of these, according to which field is nonsense
    except (BadZipFile, NotImplementedError, OSError, EOFError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: damaged or truncated ({_brief(error)}); download it anew"
        ) from None
    if damaged is not None:
        raise UserError(f"{path}: damaged: checksum of {damaged} is wrong; download it anew")
    return [record.file_size for record in records if "/data/" in record.filename]


def _check_records(path: Path, records: list[ZipInfo]) -> ZipInfo:
    """The record of the pickle; refuse what torch does not write or what would swell."""
    for record in records:
        if record.compress_type != ZIP_STORED or record.file_size != record.compress_size:
            raise UserError(
                f"{path}: {record.filename} is compressed, which torch.save never does: "
                f"{record.compress_size} bytes would become {record.file_size}; it is not opened"
            )
    said, size = sum(record.file_size for record in records), path.stat().st_size
    if said > size:
        raise UserError(f"{path}: claims records of {said} bytes in a file of {size}")
    # torch finds records whatever their case; two of one name could differ by who looks.
    names = Counter(record.filename.lower() for record in records)
    folders = {name.partition("/")[0] for name in names}
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if max(names.values(), default=0) > 1 or len(folders) != 1 or len(pickles) != 1:
        raise UserError(f"{path}: a zip file, but not one that torch.save wrote")
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(f"{path}: a TorchScript program, wanted a checkpoint of torch.save")
    if pickles[0].file_size > _PICKLE_BYTES:
        raise UserError(
            f"{path}: its structure alone takes {pickles[0].file_size} bytes, "
            f"at most {_PICKLE_BYTES} are wanted; it is not opened"
        )
    return pickles[0]


def _check_pickle(path: Path, pickled: bytes) -> None:
    """Refuse any name that tensors, dicts and arguments do not need; opcodes are only read."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "PROTO" and argument != 2:
            raise UserError(f"{path}: pickled by protocol {argument}; torch.save writes protocol 2")
        if opcode.name == "GLOBAL" and not _NEEDED.fullmatch(name := str(argument)):
            raise UserError(
                f"{path}: asks for {name.replace(' ', '.')}, which weights do not need; "
                "nothing of it was run. Do not trust this file"
            )


def _unpickled(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch says by exceptions of any type what is wrong with a file
        raise UserError(f"{path}: not readable as weights: {_brief(error)}") from None


def _tensors(path: Path, model: Any) -> dict[str, Tensor]:
    if not isinstance(model, dict) or not model:
        raise UserError(f"{path}: 'model' is {_kind(model)}, wanted a state dict")
    for name, tensor in model.items():
        if not isinstance(name, str):
            raise UserError(f"{path}: 'model' has {_kind(name)} for a name, wanted words")
        if type(tensor) not in (Tensor, torch.nn.Parameter):
            raise UserError(f"{path}: 'model' has {_kind(tensor)} as {name!r:.80}, wanted tensors")
    while all(name.startswith("module.") for name in model):  # one per wrapper in training
        model = {name.removeprefix("module."): tensor for name, tensor in model.items()}
    return {name: tensor.detach() for name, tensor in model.items()}


def _check_sizes(path: Path, weights: dict[str, Tensor], sizes: list[int]) -> None:
    """Refuse tensors that are more than the file has: repeated, or reaching past their record."""
    said, has, known = sum(t.nbytes for t in weights.values()), sum(sizes), set(sizes)
    if said > has:
        raise UserError(
            f"{path}: claims tensors of {said} bytes, the file has {has}; it is not loaded"
        )
    for name, tensor in weights.items():
        if tensor.untyped_storage().nbytes() not in known:
            raise UserError(
                f"{path}: {name!r:.80} does not lie in a record of its own size; damaged"
            )


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def _brief(error: Exception) -> str:
    """First sentence of torch's essays."""
    line = " ".join((str(error).splitlines() or [""])[0].split())
    return line[:_LONGEST_REASON] or type(error).__name__
