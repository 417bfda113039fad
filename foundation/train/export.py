"""From a training folder to a checkpoint folder: whatever ranks wrote, one model out.

A finished run has its model already; of an unfinished one, DeepSpeed's files hold
the weights that the engine computes with, whole under ZeRO 0, 1 and 2, and one
file per expert under every expert-parallel size. They are read with
`weights_only=True`: no process group, no DeepSpeed, and no code of the file's.
"""

import pickle
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_shards.atomic import new_folder
from data_shards.errors import UserError, unknown_name
from data_shards.remote.hub import CHECKPOINT_FILES
from foundation.checkpoint.files import INDEX, MAX_SHARD_SIZE
from foundation.checkpoint.folder import CONFIG, load_folder, read_config, save_folder
from foundation.checkpoint.saved import newest_checkpoint, read_manifest, tags_of
from foundation.checkpoint.share import check_new
from foundation.checkpoint.sums import SUMS
from foundation.models.registry import ModelConfig
from foundation.train.run_folder import config_path, model_of, read_launch, read_run

_DENSE = "mp_rank_00_model_states.pt"
_EXPERTS = "layer_*_expert_*_mp_rank_00_model_states.pt"
_SPREAD = ".deepspeed_moe.experts.deepspeed_experts."
_PLAIN = ".experts."


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        path: checkpoint folder, or a checkpoint in DeepSpeed's layout.
        steps: optimiser steps that its weights have seen, if that is known.
    """

    path: Path
    steps: int | None


def export_run(
    folder: Path,
    out: Path,
    *,
    checkpoint: str | None = None,
    max_shard_size: int | str = MAX_SHARD_SIZE,
    bf16: bool = False,
) -> Source:
    """Write a checkpoint folder from a training folder; it appears whole or not at all.

    Args:
        folder: training folder; or a checkpoint folder, to write it in other shards.
        out: folder to make.
        checkpoint: "step-N"; by default the model of a finished run, else the newest one.
        max_shard_size: bytes of a file of weights, or text such as "2GB".
        bf16: round weights to bfloat16, half the bytes. It is then another model: card, results
            and fingerprints of the one that it is made from stay behind.

    Returns:
        What was exported.

    Raises:
        UserError: `out` exists, there is nothing to export, or it is damaged.
    """
    check_new(out)
    source = _source(folder, checkpoint)
    try:
        with new_folder(out) as partial:
            if whole := (source.path / CONFIG).is_file():
                config, weights, about = _finished(source.path, folder)
            else:
                config, about = _described(folder, source.path)
                weights = _consolidated(source.path)
            save_folder(
                partial, config, _rounded(weights) if bf16 else weights, about, max_shard_size
            )
            if whole and not bf16:
                _copy_companions(source.path, partial)
            _prove(partial, source.path)
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error}); choose another place") from None
    return source


def _source(folder: Path, checkpoint: str | None) -> Source:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such training folder")
    saved = folder / "checkpoints"
    if checkpoint is not None:
        path = saved / _tag(saved, checkpoint)
        return Source(path, read_manifest(path).step)
    if (folder / CONFIG).is_file():
        return Source(folder, _steps(folder))
    newest = newest_checkpoint(saved)
    if (model := model_of(folder)) is not None:
        steps = _steps(model)
        # A run that went on after its end has a model that is older than its checkpoints.
        if newest is None or steps is None or newest[1].step <= steps:
            return Source(model, steps)
    if newest is None:
        raise UserError(f"{folder}: no checkpoints in it; give the --output of a training run")
    return Source(saved / newest[0], newest[1].step)


def _tag(folder: Path, wanted: str) -> str:
    """The name of a checkpoint, zeros in front of its step or not."""
    tags = tags_of(folder)
    number = wanted.removeprefix("step-")
    for tag in tags:
        if number.isdigit() and int(tag.removeprefix("step-")) == int(number):
            return tag
    if not tags:
        raise UserError(f"{folder}: no checkpoints in it; leave --checkpoint out")
    raise unknown_name("checkpoint", wanted, tags)


def _steps(model: Path) -> int | None:
    steps = read_config(model)[1].get("steps")
    return steps if isinstance(steps, int) else None


def _finished(source: Path, run: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, Any]]:
    """A checkpoint folder's network, its weights, and where they come from and how."""
    network, config, about = load_folder(source)
    if config_path(run).is_file():
        about = {**about, "launch": _launch(read_launch(run))}
    return config, network.state_dict(), about


def _rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: w.bfloat16() if w.is_floating_point() else w for n, w in weights.items()}


def _copy_companions(source: Path, partial: Path) -> None:
    """Card, results and fingerprints of a checkpoint folder."""
    for pattern in CHECKPOINT_FILES:
        for path in source.glob(pattern):
            name = path.relative_to(source)
            if path.suffix != ".safetensors" and path.name not in (CONFIG, INDEX, SUMS):
                (partial / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, partial / name)


def _described(folder: Path, checkpoint: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Configuration and origin of an unfinished run, in the words of a finished one."""
    saved, manifest = read_run(folder), read_manifest(checkpoint, contents=True)
    about = saved.about(manifest.step, manifest.samples)
    return saved.run.model, {**about, "launch": _launch(saved.launch)}


def _launch(launch: dict[str, Any]) -> dict[str, Any]:
    """How a run was launched; of paths the names, for a disk's layout is nobody else's business.

    Without statistics of the shards, which a checkpoint tells elsewhere.
    """
    launch = {key: value for key, value in launch.items() if key != "shards_statistics"}
    for key in ("shards", "deepspeed_config"):
        # What lies on the Hub or on the web is everybody's to find.
        if isinstance(launch.get(key), str) and "://" not in launch[key]:
            launch[key] = Path(launch[key]).name
    return launch


def _consolidated(checkpoint: Path) -> dict[str, Tensor]:
    """Whole weights and buffers in float32, by the names of the plain model."""
    state = _read(checkpoint / _DENSE)
    parts = [state.get("module"), state.get("buffers", {})]
    parts += [_read(path) for path in sorted(checkpoint.glob(_EXPERTS))]
    weights: dict[str, Tensor] = {}
    for part in parts:
        if not isinstance(part, dict) or not all(isinstance(t, Tensor) for t in part.values()):
            raise UserError(f"{checkpoint}: not a checkpoint of ours; its files hold other things")
        for name, tensor in part.items():
            whole = tensor.float() if tensor.is_floating_point() else tensor
            weights[name.replace(_SPREAD, _PLAIN)] = whole
    return weights


def _read(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a strange file; the error says it
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; not a checkpoint in DeepSpeed's layout") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:160]
        raise UserError(f"{path}: damaged, or more than tensors in it ({reason})") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds {type(state).__name__}, wanted a state dict")
    return state


def _prove(partial: Path, source: Path) -> None:
    """Load what was written as a user will, before it gets its name."""
    try:
        load_folder(partial)
    except UserError as error:
        reason = str(error).replace(str(partial), "the export")
        raise UserError(f"{source}: does not fit its configuration: {reason}") from None
