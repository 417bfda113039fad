"""A checkpoint folder, the thing people share: weights and configuration to and from disk.

`config.json` rebuilds the network alone; `model.safetensors`, or its shards,
hold every parameter and buffer, so that the router's temperature travels too.
`SHA256SUMS` proves both. Nothing in the folder is ever unpickled.
"""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from data_shards.atomic import replace_file
from data_shards.errors import UserError, unknown_name
from data_shards.remote.hub import CHECKPOINT_FILES, snapshot
from foundation.checkpoint.bundled import bundled
from foundation.checkpoint.files import MAX_SHARD_SIZE
from foundation.checkpoint.sums import check_sums, write_sums
from foundation.checkpoint.weights import (
    StoredTensor,
    digest_weights,
    read_json,
    read_tensors,
    stored_tensors,
    write_weights,
)
from foundation.models.registry import (
    ModelConfig,
    build_model,
    outline_model,
    read_model_config,
)
from foundation.nn.counted import TooManyPartsError

CONFIG = "config.json"

_KEYS = ("model", "about")
# Of a network, for each of its tensors; and of the smallest ones in all. Today's have two.
_PARTS, _LEAST_PARTS = 8, 64


def save_folder(
    folder: Path,
    config: ModelConfig,
    weights: dict[str, Tensor],
    about: dict[str, Any],
    max_shard_size: int | str = MAX_SHARD_SIZE,
) -> None:
    """Write a checkpoint folder; every file appears whole or not at all.

    Args:
        folder: made if missing.
        config: of the network.
        weights: its whole state dict.
        about: plain values on where the weights come from, kept in `config.json`.
        max_shard_size: bytes of a file of weights, or text such as "2GB".

    Raises:
        UserError: the size is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = write_weights(folder, weights, max_shard_size)
    # Canonical: a network keeps its fingerprint when configurations get further keys.
    values = {"model": config.canonical(), "about": about}
    replace_file(folder / CONFIG, f"{json.dumps(values, indent=2)}\n".encode())
    write_sums(folder, [CONFIG, *files])


def load_folder(folder: Path) -> tuple[nn.Module, ModelConfig, dict[str, Any]]:
    """Read a checkpoint folder, strictly.

    Returns:
        The network in evaluation mode and float32, its configuration, and `about`.

    Raises:
        UserError: a file is missing, damaged or changed since it was written, weights and
            configuration disagree, or a weight is NaN or infinite.
    """
    config, about, stored = check_folder(folder)
    check_sums(folder, {CONFIG, *(tensor.path.name for tensor in stored.values())})
    model = build_model(config)
    model.load_state_dict(read_tensors(stored))
    return model.eval(), config, about


def check_folder(folder: Path) -> tuple[ModelConfig, dict[str, Any], dict[str, StoredTensor]]:
    """Prove that configuration and headers of weights belong together; no tensor is read.

    Returns:
        The network's configuration, `about`, and where its tensors lie.

    Raises:
        UserError: a file is missing or damaged, or weights and configuration disagree.
    """
    config, about = read_config(folder)
    stored = stored_tensors(folder)
    # Headers first: a configuration may ask for any amount of memory, and for any number of parts.
    try:
        outline = outline_model(config, _LEAST_PARTS + _PARTS * len(stored)).state_dict()
    except TooManyPartsError:
        raise UserError(
            f"{folder / CONFIG}: a network of far more parts, but there are {len(stored)} tensors "
            "in all; the files do not belong together"
        ) from None
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"{folder / CONFIG}: no network of such sizes ({reason})") from None
    _check_names(folder, set(stored), set(outline))
    for name, tensor in outline.items():
        came = stored[name]
        if tuple(tensor.shape) != came.shape:
            raise UserError(
                f"{came.path}: {name} is {came.shape}, {CONFIG} says {tuple(tensor.shape)}; "
                "the two files do not belong together"
            )
        if tensor.is_floating_point() != ("F" in came.dtype):
            raise UserError(
                f"{came.path}: {name} is of type {came.dtype}, wanted one like {tensor.dtype}; "
                "the two files do not belong together"
            )
    return config, about, stored


def read_config(folder: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Configuration of the network and `about` of a checkpoint folder; no weights are read.

    Raises:
        UserError: `config.json` is missing or damaged.
    """
    values, path = _read_config(folder), folder / CONFIG
    for key in values:
        if key not in _KEYS:
            raise UserError(f"{path}: {unknown_name('key', key, _KEYS)}")
    about = values.get("about", {})
    if not isinstance(about, dict):
        raise UserError(f"{path}: about is {about!r}, wanted an object")
    return read_model_config(values.get("model"), f"{path}"), about


def fingerprint_of(folder: Path) -> str:
    """sha256 over configuration and weights: the same for the same function.

    In whatever files the tensors lie; of a single file it is that of its bytes.

    Raises:
        UserError: a file is missing or damaged.
    """
    configuration = json.dumps(_read_config(folder).get("model"), sort_keys=True)
    return digest_weights(stored_tensors(folder), configuration)


def find_folder(name: str, **hub: Any) -> Path:
    """A local checkpoint folder, one that comes with the package, or a hub repository's snapshot.

    Args:
        name: path of a folder, a name of the package (`bundled`), or a hub id as "owner/name".
        hub: `revision`, `cache_dir`, `local_files_only`, `token`, `endpoint`, as `hub.snapshot`.

    Raises:
        UserError: no checkpoint folder, no such name, nor a repository that can be had.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise UserError(_not_a_checkpoint(path))
        return path
    if (folder := bundled().get(name)) is not None:
        return folder
    if path.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(
            f"{name}: no such checkpoint folder, none of the package's, and not a hub id "
            "(owner/name); foundation models lists what there is"
        )
    return snapshot(name, CHECKPOINT_FILES, **hub)


def _not_a_checkpoint(path: Path) -> str:
    if (path / "model" / CONFIG).is_file():
        return f"{path}: a training folder; its checkpoint is {path / 'model'}"
    return f"{path}: not a checkpoint folder: it holds no {CONFIG}"


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / CONFIG)
    except FileNotFoundError:
        raise UserError(_not_a_checkpoint(folder)) from None


def _check_names(folder: Path, came: set[str], wanted: set[str]) -> None:
    for what, names in (("lacks", wanted - came), ("has unknown", came - wanted)):
        if names:
            raise UserError(
                f"{folder}: {what} {len(names)} tensors, {min(names)} among them; "
                f"it does not belong to this {CONFIG}"
            )
