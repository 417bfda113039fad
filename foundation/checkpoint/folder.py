"""A checkpoint folder, the thing people share: weights and configuration to and from disk.

`config.json` rebuilds the network alone; `model.safetensors` holds every
parameter and buffer, so that the router's temperature travels too. Nothing in
the folder is ever unpickled.
"""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data_shards.errors import UserError
from foundation.models.registry import ModelConfig, build_model, read_model_config

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def save_folder(
    folder: Path, config: ModelConfig, weights: dict[str, Tensor], about: dict[str, Any]
) -> None:
    """Write a checkpoint folder; the weights' file appears whole or not at all.

    Args:
        folder: made if missing.
        config: of the network.
        weights: its whole state dict.
        about: plain values on where the weights come from, kept in `config.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / f"{WEIGHTS}.partial", metadata={"format": "pt"})
    os.replace(folder / f"{WEIGHTS}.partial", folder / WEIGHTS)
    values = {"model": config.model_dump(mode="json"), "about": about}
    (folder / f"{CONFIG}.partial").write_text(json.dumps(values, indent=2) + "\n")
    os.replace(folder / f"{CONFIG}.partial", folder / CONFIG)


def load_folder(folder: Path) -> tuple[nn.Module, ModelConfig, dict[str, Any]]:
    """Read a checkpoint folder, strictly.

    Returns:
        The network in evaluation mode and float32, its configuration, and `about`.

    Raises:
        UserError: a file is missing or damaged, or weights and configuration disagree.
    """
    config, about = read_config(folder)
    weights = _read_weights(folder)
    model = build_model(config)
    expected = model.state_dict()
    _check_names(folder, set(weights), set(expected))
    for name, tensor in expected.items():
        if tensor.shape != weights[name].shape:
            raise UserError(
                f"{folder / WEIGHTS}: {name} is {tuple(weights[name].shape)}, {CONFIG} says "
                f"{tuple(tensor.shape)}; the two files do not belong together"
            )
    model.load_state_dict(weights)
    return model.eval(), config, about


def read_config(folder: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Configuration of the network and `about` of a checkpoint folder; no weights are read.

    Raises:
        UserError: `config.json` is missing or damaged.
    """
    values = _read_config(folder)
    return read_model_config(values.get("model"), f"{folder / CONFIG}"), values.get("about", {})


def fingerprint_of(folder: Path) -> str:
    """sha256 over configuration and weights: the same for the same function.

    Raises:
        UserError: a file is missing, or the configuration is damaged.
    """
    digest = sha256(json.dumps(_read_config(folder).get("model"), sort_keys=True).encode())
    try:
        with (folder / WEIGHTS).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except FileNotFoundError:
        raise UserError(_no_weights(folder)) from None
    return digest.hexdigest()


def find_folder(name: str, **hub: Any) -> Path:
    """A local checkpoint folder, or a hub repository's snapshot.

    Args:
        name: path of a folder, or a hub id as "owner/name".
        hub: `revision`, `cache_dir`, `local_files_only`, `token` of huggingface_hub.

    Raises:
        UserError: neither a checkpoint folder nor a repository that can be had.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise UserError(_not_a_checkpoint(path))
        return path
    if path.exists() or name.count("/") != 1 or name.startswith((".", "/")):
        raise UserError(f"{name}: no such checkpoint folder, and not a hub id (owner/name)")
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"], **hub))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: no such folder, and the hub did not give it: {reason}") from None


def _not_a_checkpoint(path: Path) -> str:
    if (path / "model" / CONFIG).is_file():
        return f"{path}: a training folder; its checkpoint is {path / 'model'}"
    return f"{path}: not a checkpoint folder: it holds no {CONFIG}"


def _no_weights(folder: Path) -> str:
    return f"{folder}: not a whole checkpoint: {WEIGHTS} is missing"


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError:
        raise UserError(_not_a_checkpoint(folder)) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / CONFIG}: not readable as JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{folder / CONFIG}: holds {type(values).__name__}, wanted an object")
    return values


def _read_weights(folder: Path) -> dict[str, Tensor]:
    try:
        weights = load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise UserError(_no_weights(folder)) from None
    except SafetensorError as error:
        raise UserError(
            f"{folder / WEIGHTS}: damaged or truncated ({error}); copy it anew"
        ) from None
    return {name: t.float() if t.is_floating_point() else t for name, t in weights.items()}


def _check_names(folder: Path, came: set[str], wanted: set[str]) -> None:
    for what, names in (("lacks", wanted - came), ("has unknown", came - wanted)):
        if names:
            raise UserError(
                f"{folder / WEIGHTS}: {what} {len(names)} tensors, {min(names)} among them; "
                f"it does not belong to this {CONFIG}"
            )
