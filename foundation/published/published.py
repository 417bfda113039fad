"""Published checkpoints and ours: a `.pth` of the authors in, a checkpoint folder out, and back.

Every weight keeps its bits; running statistics of the gates come along.
A published file keeps no training step, and its code evaluates at the router's
lowest temperature; so the step is set far beyond the schedule's end.
Departure: with `normalize`, their deviation divides by N - 1 and ours by N, the
N numbers of a context's channel: 3e-6 of it at 10 frames of 128 x 128.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_shards.atomic import new_file, new_folder
from data_shards.errors import UserError
from foundation.checkpoint.folder import save_folder
from foundation.checkpoint.surrogate import Surrogate
from foundation.models.moe_pot import MoEPOT
from foundation.published.names import from_published, to_published
from foundation.published.published_config import (
    Inferred,
    PublishedConfig,
    Told,
    check_publishable,
    infer_config,
    published_args,
)
from foundation.published.published_file import PublishedFile, open_published

_AFTER_SCHEDULE = 1_000_000  # training steps; the temperature stands at its floor from 138 on
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        config: of the network.
        about: where it comes from, as in `config.json`.
        remarks: what was taken for granted, a line each.
    """

    config: PublishedConfig
    about: dict[str, Any]
    remarks: tuple[str, ...]


def import_published(path: Path, out: Path, told: Told | None = None) -> Imported:
    """Write a checkpoint folder from a published file.

    Args:
        path: of the file.
        out: folder to make; it appears whole or not at all.
        told: what the user says of what shapes cannot tell.

    Raises:
        UserError: `out` exists, or the file is not a sound MoE-POT or DPOT.
    """
    _check_free(out)
    file = open_published(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in file.weights.items()}
    inferred = infer_config(shapes, file.args, told or Told(), str(path))
    weights = from_published(dict(_checked(file)))
    if inferred.config.model_type == "moe_pot":
        weights["training_step"] = torch.tensor(_AFTER_SCHEDULE)
    about = {"imported": _provenance(file, inferred), "protocol": "reference"}
    with _refused(out), new_folder(out) as partial:
        save_folder(partial, inferred.config, weights, about)
        _check_free(out)  # made by another in the meantime
    return Imported(inferred.config, about, tuple(_remarks(file, inferred)))


def export_published(name_or_path: str | Path, out: Path) -> PublishedConfig:
    """Write a published file from a checkpoint, names without the prefix `module.`.

    Args:
        name_or_path: checkpoint folder or hub id of a MoE-POT or DPOT.
        out: file to make; it appears whole or not at all.

    Returns:
        The network's configuration.

    Raises:
        UserError: `out` exists, the checkpoint cannot be read, or the published layout
            cannot hold what it is.
    """
    _check_free(out)
    model = Surrogate.from_pretrained(name_or_path)
    config = check_publishable(model.config, str(name_or_path))
    _check_temperature(model, str(name_or_path))
    weights = to_published(model.network.state_dict(), config)
    contents = {
        "model": weights,
        "args": argparse.Namespace(**published_args(config)),
        "optimizer": {},
    }
    with _refused(out), new_file(out) as partial:
        with partial.open("wb") as file:
            torch.save(contents, file)
        _check_free(out)  # made by another in the meantime
    return config


def _checked(file: PublishedFile) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in the type that we keep, read and found finite."""
    seen: set[int] = set()
    for name, tensor in file.weights.items():
        wanted = (torch.int64,) if name.endswith(_COUNTER) else _FLOATS
        if tensor.dtype not in wanted:
            raise UserError(f"{file.path}: tensor {name} is {tensor.dtype}, wanted {wanted[0]}")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"{file.path}: tensor {name} holds NaN or infinity; this training had failed"
            )
        place = tensor.untyped_storage().data_ptr()
        if place in seen:  # views of one buffer; a checkpoint folder takes each by itself
            tensor = tensor.clone()
        seen.add(place)
        yield name, tensor.float() if tensor.is_floating_point() else tensor


def _provenance(file: PublishedFile, inferred: Inferred) -> dict[str, Any]:
    by_origin: dict[str, dict[str, Any]] = {}
    for setting, (value, origin) in inferred.origins.items():
        by_origin.setdefault(origin, {})[setting] = value
    return {
        "file": file.path.name,
        "bytes": file.size,
        "sha256": file.sha256,
        "args": "absent" if file.args is None else "agree with the tensors",
        "from_tensors": list(inferred.shown),
        "from_option": by_origin.get("option", {}),
        "from_args": by_origin.get("args", {}),
        "assumed": by_origin.get("published value", {}),
    }


def _remarks(file: PublishedFile, inferred: Inferred) -> Iterator[str]:
    config = inferred.config
    if file.args is None:
        yield f"{file.path.name} has no args; sizes are those of its tensors"
    for setting, (value, origin) in inferred.origins.items():
        if origin == "published value":
            yield f"{setting}={value}: not in the file, taken from the published network"
    if config.time_aggregation == "mlp":
        yield "no time_agg_layer.gamma among the tensors: frames are aggregated without cosines"
    rows = config.resolution // config.patch
    if inferred.origins["modes"][1] == "args" and config.modes < rows:
        yield (
            f"modes={config.modes} as args say, which cuts off part of the {rows} rows; "
            "DPOT's own script ignores it and takes 32: --modes 32 does the same"
        )
    halves = {str(t.dtype) for t in file.weights.values() if t.dtype in _FLOATS[1:]}
    for dtype in sorted(halves):
        yield f"weights in {dtype} are kept as torch.float32"


def _check_temperature(model: Surrogate, where: str) -> None:
    network = model.network
    if not isinstance(network, MoEPOT):
        return
    floor, now = network.config.router.temperature.floor, network.temperature
    if now != floor:
        raise UserError(
            f"{where}: after {int(network.training_step)} steps its router is at temperature "
            f"{now:.3g}; the published layout has no place for it and means {floor}. Train it on"
        )


def _check_free(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: exists and is not overwritten; choose another name or remove it")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: no such folder {out.parent}; make it first")


@contextmanager
def _refused(out: Path) -> Iterator[None]:
    """What the disk refuses, as a user's error."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out}: not writable: {error.strerror}") from None
