"""Tensors on disk, in the Hub's form: one safetensors file, or shards with an index.

Every header is read before any tensor, so that what a folder holds is known, and
may be refused, before memory is taken. Nothing is ever unpickled.
Source: the safetensors format, and the index file of huggingface_hub.
"""

import json
import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from data_shards.atomic import flush, new_file, replace_file
from data_shards.errors import UserError
from data_shards.untrusted import parse_json, read_text
from foundation.checkpoint.files import INDEX, MAX_SHARD_SIZE, WEIGHTS
from foundation.checkpoint.sums import SUMS

_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_METADATA = {"format": "pt"}
_CHUNK = 1 << 20
# Types in the order in which a safetensors file holds them, tensors of a type by name.
_ORDER = (
    *("U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16"),
    *("F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"),
)


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        path: of its file.
        dtype: as safetensors names it, such as F32.
        shape: of the tensor.
        begin: first byte in the file.
        end: one past its last byte.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def write_weights(
    folder: Path, weights: dict[str, Tensor], max_shard_size: int | str = MAX_SHARD_SIZE
) -> list[str]:
    """Write tensors into a folder; each file appears whole or not at all.

    A folder that is being rewritten in another form is at no moment readable as
    a mixture of both: its old entry goes before the new one comes.

    Args:
        folder: exists.
        weights: by name.
        max_shard_size: bytes of a file, or text such as "2GB"; only a single tensor that is
            larger makes a larger file.

    Returns:
        Names of the files that hold them; their index is none of these.

    Raises:
        UserError: the size is none.
    """
    tensors = {name: _alone(tensor.detach().cpu()) for name, tensor in weights.items()}
    split = _split(tensors, max_shard_size)
    with ExitStack() as written:
        for name, members in split.filename_to_tensors.items():
            partial = written.enter_context(new_file(folder / name))
            save_file({each: tensors[each] for each in members}, partial, metadata=_METADATA)
            partial.chmod(0o644)  # the library's own would be one's own only
            flush(partial)  # a full disk shows before anything old goes
        (folder / SUMS).unlink(missing_ok=True)  # a folder half rewritten has none
        (folder / INDEX).unlink(missing_ok=True)
        if split.is_sharded:
            (folder / WEIGHTS).unlink(missing_ok=True)
    for path in folder.iterdir():
        if _SHARD.fullmatch(path.name) and path.name not in split.filename_to_tensors:
            path.unlink()  # of an earlier sharding
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        replace_file(folder / INDEX, f"{json.dumps(index, indent=2)}\n".encode())
    return list(split.filename_to_tensors)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """What the headers of a folder's weights say, proven against file sizes and index.

    Raises:
        UserError: a file is missing or damaged, or index and files disagree.
    """
    if not (folder / INDEX).exists():
        return _header(folder / WEIGHTS)
    if (folder / WEIGHTS).exists():
        raise UserError(
            f"{folder}: holds both {WEIGHTS} and {INDEX}; remove the one that is left over"
        )
    weight_map, total_bytes = _read_index(folder / INDEX)
    found: dict[str, StoredTensor] = {}
    for name in sorted(set(weight_map.values())):
        header = _header(folder / name)
        mapped = {tensor for tensor, file in weight_map.items() if file == name}
        _check_index(folder / INDEX, name, mapped, set(header))
        found |= header
    held = sum(tensor.end - tensor.begin for tensor in found.values())
    if total_bytes is not None and total_bytes != held:
        raise UserError(
            f"{folder / INDEX}: total_size is {total_bytes}, its files hold {held} bytes; "
            "copy the folder anew"
        )
    return found


def read_tensors(stored: dict[str, StoredTensor]) -> dict[str, Tensor]:
    """Load tensors, those of floating point in float32.

    Raises:
        UserError: a file is damaged, or a value is NaN or infinite.
    """
    tensors: dict[str, Tensor] = {}
    for path in sorted({tensor.path for tensor in stored.values()}):
        names = [name for name, tensor in stored.items() if tensor.path == path]
        try:
            with safe_open(path, framework="pt") as file:
                tensors |= {name: _finite(path, name, file.get_tensor(name)) for name in names}
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from None
    return tensors


def digest_weights(stored: dict[str, StoredTensor], configuration: str) -> str:
    """sha256 over some text and the tensors, in whatever files they lie.

    Tensors are hashed as the bytes of the one file that would hold them all, so
    that a checkpoint in one file has the checksum of text and file.
    """

    def place(name: str) -> tuple[int, str]:
        return _ORDER.index(stored[name].dtype), name

    digest = sha256(configuration.encode())
    names = sorted(stored, key=place)
    digest.update(_joint_header(stored, names))
    with ExitStack() as stack:
        files = {
            path: stack.enter_context(path.open("rb"))
            for path in {tensor.path for tensor in stored.values()}
        }
        for name in names:
            for piece in _pieces(files[stored[name].path], stored[name]):
                digest.update(piece)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        FileNotFoundError: no such file.
        UserError: not readable, or not an object.
    """
    values = parse_json(read_text(path), str(path), "copy it anew")
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds {type(values).__name__}, wanted an object")
    return values


def _alone(tensor: Tensor) -> Tensor:
    """A tensor in memory of its own; views of one buffer would all go into one file."""
    whole = tensor.contiguous()
    return whole if whole.untyped_storage().nbytes() == whole.nbytes else whole.clone()


def _split(tensors: dict[str, Tensor], max_shard_size: int | str) -> Any:
    size = max_shard_size
    try:
        if isinstance(size, str) and size.isdigit():
            size = int(size)
        if (isinstance(size, str) and size.startswith("-")) or (isinstance(size, int) and size < 1):
            raise ValueError
        return split_torch_state_dict_into_shards(tensors, max_shard_size=size)
    except ValueError:
        raise UserError(
            f"max_shard_size={max_shard_size!r}: wanted bytes, or a size such as 500MB or 2GB"
        ) from None


def _read_index(path: Path) -> tuple[dict[str, str], int | None]:
    """File of every tensor, and bytes of all of them if the index tells."""
    values = read_json(path)
    weight_map = values.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{path}: no weight_map with the file of every tensor; copy it anew")
    for tensor, name in weight_map.items():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise UserError(
                f"{path}: {tensor} is said to lie in {name!r}; wanted a file of this folder, "
                "named as in model-00001-of-00002.safetensors"
            )
    metadata = values.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return weight_map, None if total is None else total


def _check_index(index: Path, name: str, mapped: set[str], held: set[str]) -> None:
    for verb, tensors in (("does not hold", mapped - held), ("also holds", held - mapped)):
        if tensors:
            raise UserError(
                f"{index}: {name} {verb} {len(tensors)} tensors, {min(tensors)} among them; "
                "index and files do not belong together, copy the folder anew"
            )


def _header(path: Path) -> dict[str, StoredTensor]:
    """Header of a safetensors file, which the library has proven to fit the file."""
    if not path.is_file():
        raise UserError(f"{path.parent}: not a whole checkpoint: {path.name} is missing")
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
        with path.open("rb") as raw:
            (length,) = struct.unpack("<Q", raw.read(8))
            entries = json.loads(raw.read(length))
    except (SafetensorError, OSError, struct.error, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    first = 8 + length
    found = {name: _entry(path, name, entries[name], first) for name in sorted(names)}
    if not found:
        raise UserError(f"{path}: holds no tensors; copy it anew")
    return found


def _entry(path: Path, name: str, entry: dict[str, Any], first: int) -> StoredTensor:
    if entry["dtype"] not in _ORDER:
        raise UserError(f"{path}: {name} is of type {entry['dtype']}; wanted one of torch's own")
    begin, end = entry["data_offsets"]
    return StoredTensor(path, entry["dtype"], tuple(entry["shape"]), first + begin, first + end)


def _finite(path: Path, name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        raise UserError(
            f"{path}: {name} holds NaN or infinite values; its training broke, take an earlier "
            "checkpoint"
        )
    return tensor.float()


def _joint_header(stored: dict[str, StoredTensor], names: list[str]) -> bytes:
    """As the safetensors library writes it for a file with all of the tensors."""
    entries: dict[str, Any] = {"__metadata__": _METADATA}
    begin = 0
    for name in names:
        tensor = stored[name]
        end = begin + tensor.end - tensor.begin
        shape = list(tensor.shape)
        entries[name] = {"dtype": tensor.dtype, "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _pieces(file: BinaryIO, tensor: StoredTensor) -> Iterator[bytes]:
    file.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left > 0:
        piece = file.read(min(_CHUNK, left))
        if not piece:
            raise UserError(f"{tensor.path}: shorter than a moment ago; copy it anew")
        left -= len(piece)
        yield piece


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{path}: damaged or truncated ({reason}); copy it anew")
