"""Published checkpoint files at the size of a test, sound ones and others."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from safetensors import safe_open

GOLDEN = {"moe_pot": "moepot_reference_nano", "dpot": "dpot_reference_nano"}


def golden_tensors(golden: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """All tensors of the published implementation's nano network, and its configuration."""
    with safe_open(golden / f"{GOLDEN[name]}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["config"])


def weights_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t for name, t in tensors.items() if not name.startswith("golden")}


def args_of(config: dict[str, Any], **changes: Any) -> argparse.Namespace:
    """The authors' command line of a golden network, with what decides no network."""
    fields = {
        "res": config["img_size"],
        "patch_size": config["patch_size"],
        "width": config["embed_dim"],
        "n_layers": config["depth"],
        "n_blocks": config["n_blocks"],
        "mlp_ratio": config["mlp_ratio"],
        "modes": config["modes"],
        "act": config["act"],
        "T_in": config["in_timesteps"],
        "T_bundle": config["out_timesteps"],
        "normalize": 0,
        "out_layer_dim": config["out_layer_dim"],
        "lr": 1e-3,
        "train_paths": ["ns2d_fno_1e-5", "swe_pdb"],
        "comment": "",
    }
    return argparse.Namespace(**{**fields, **changes})


def write_pth(
    path: Path,
    weights: dict[str, Any],
    args: argparse.Namespace | dict[str, Any] | None = None,
    prefix: str = "",
) -> Path:
    """A file as the authors' training writes it, with a little of an optimiser's state."""
    state = {"state": {0: {"step": 3, "exp_avg": torch.ones(5)}}, "param_groups": [{"lr": 1e-3}]}
    contents = {
        "args": args,
        "model": {prefix + name: tensor for name, tensor in weights.items()},
        "optimizer": state,
    }
    if args is None:
        del contents["args"]
    torch.save(contents, path)
    return path


def rewrite(
    path: Path, change: Callable[[str, bytes], bytes | None], compression: int = ZIP_STORED
) -> None:
    """Rewrite every record of a zip by its name and bytes; None leaves it out."""
    with ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with ZipFile(path, "w", compression) as archive:
        for name, content in records:
            if (changed := change(name, content)) is not None:
                archive.writestr(name, changed)
