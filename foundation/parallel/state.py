"""State of an engine to and from a folder, in DeepSpeed's own checkpoint layout.

The same layout of ranks loads its files as they are. Another world size,
expert-parallel size, ZeRO stage or precision goes through DeepSpeed's
universal form, which keeps one file per parameter.

Traps stepped around (DeepSpeed 0.19): the converter knows rank 0's parameter
shapes only, so all ranks' shapes are merged before saving; the universal load
pairs optimiser groups by position and overwrites their names, so groups are
reduced to what they have in common; it restores no buffers, so they travel in
the client state.
"""

import contextlib
import errno
import io
import os
import pickle
import re
import shutil
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from deepspeed.checkpoint import ds_to_universal
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum
from deepspeed.utils.tensor_fragment import fragment_address

from data_shards.errors import UserError
from foundation.parallel.layout import Layout
from foundation.parallel.restack import restack


def _stage(kind: Any, name: str) -> ZeroStageEnum:
    """The one use of `getattr`: early releases of Python 3.11 write members of enumerations so."""
    if kind is not ZeroStageEnum:
        raise pickle.UnpicklingError(f"attribute {name} of {kind}")
    return ZeroStageEnum[name]


# What DeepSpeed writes beside tensors and plain values; nothing else of a file is ever built.
_WRITTEN_BY_DEEPSPEED: tuple[Any, ...] = (
    LossScaler,
    ZeroStageEnum,
    fragment_address,
    (_stage, "builtins.getattr"),
)
_UNWRITTEN = re.compile("PytorchStreamWriter|inline_container|Parent directory")  # says torch
_NO_CODE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_OF_ONE_GROUP = ("params", "name", "moe")  # keys that tell optimiser groups apart


def save_state(engine: Any, folder: Path, tag: str, client: dict[str, Any]) -> None:
    """Write the state of all ranks below `folder / tag`; collective.

    Args:
        engine: DeepSpeed engine.
        folder: exists or is made.
        tag: name of the checkpoint.
        client: picklable values, the same on every rank.

    Raises:
        OSError: the disk does not take it.
    """
    state = {**client, "buffers": {n: b.cpu() for n, b in engine.module.named_buffers()}}
    if engine.zero_optimization():
        state["param_shapes"] = _shapes_of_all_ranks(engine)
    try:
        engine.save_checkpoint(str(folder), tag=tag, client_state=state, save_latest=False)
    except RuntimeError as error:
        if not _UNWRITTEN.search(str(error)):
            raise
        reason = "the checkpoint could not be written, the disk is full or gone"
        raise OSError(errno.EIO, reason, str(folder)) from error
    dist.barrier()
    if dist.get_rank() == 0:
        # DeepSpeed leaves scripts that fail on, or mangle, every checkpoint with experts.
        for script in ("zero_to_fp32.py", "zero_to_torch.py"):
            (folder / script).unlink(missing_ok=True)


def load_state(engine: Any, folder: Path, tag: str, saved: Layout, now: Layout) -> dict[str, Any]:
    """Restore weights, buffers and optimiser from `folder / tag`; collective.

    Args:
        engine: freshly built for the layout `now`.
        folder: holds the tag's folder.
        tag: name of the checkpoint.
        saved: layout it was saved under.
        now: layout of this run.

    Returns:
        The client state that was saved.

    Raises:
        UserError: the layouts differ and one of them is ZeRO 0, which keeps no
            universal form; or a file holds other things than DeepSpeed writes.
    """
    with _no_code_of(folder / tag):
        if saved == now:
            _, client = engine.load_checkpoint(str(folder), tag=tag)
        else:
            client = _load_converted(engine, folder, tag, saved, now)
    for name, buffer in engine.module.named_buffers():
        buffer.copy_(client["buffers"][name])
    return client  # type: ignore[no-any-return]


@contextlib.contextmanager
def _no_code_of(checkpoint: Path) -> Iterator[None]:
    """In the block `torch.load` runs no code of a file's, though DeepSpeed asks it to."""
    before = os.environ.get(_NO_CODE)
    os.environ[_NO_CODE] = "1"
    try:
        with torch.serialization.safe_globals(list(_WRITTEN_BY_DEEPSPEED)):
            yield
    except pickle.UnpicklingError as error:
        reason = next(iter(str(error).splitlines()), "")[:160]
        raise UserError(
            f"{checkpoint}: holds more than DeepSpeed writes, nothing of it was run ({reason}); "
            "remove it to go on from the one before"
        ) from None
    finally:
        del os.environ[_NO_CODE]
        if before is not None:
            os.environ[_NO_CODE] = before


def _shapes_of_all_ranks(engine: Any) -> list[Any]:
    """Parameter shapes by optimiser group, every rank's experts among them."""
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, engine._get_zero_param_shapes())
    merged: list[OrderedDict[str, Any]] = [
        OrderedDict() for _ in range(max(len(groups) for groups in gathered))
    ]
    for groups in gathered:
        for total, group in zip(merged, groups, strict=False):
            total.update(group)
    return merged


def _load_converted(
    engine: Any, folder: Path, tag: str, saved: Layout, now: Layout
) -> dict[str, Any]:
    if saved.experts != now.experts and 0 in (saved.zero_stage, now.zero_stage):
        raise UserError(
            f"{folder / tag}: of a version that stepped experts one by one, under ZeRO 0, which "
            "cannot change form: export it (foundation export) and fine-tune from that, or go on "
            "with the version that wrote it"
        )
    if 0 in (saved.zero_stage, now.zero_stage):
        raise UserError(
            f"{folder / tag}: saved under {_text(saved)}, this run is {_text(now)}; ZeRO 0 "
            "cannot change layout: resume under the saved one, or train with ZeRO 1 or 2"
        )
    converted = folder / f".universal-{tag}"
    if dist.get_rank() == 0:
        shutil.rmtree(converted, ignore_errors=True)  # of a run killed in a conversion
        _convert(folder / tag, converted / tag)
        restack(converted / tag / "zero", engine.module)
        _unite_groups(converted / tag, len(engine.optimizer.optimizer.param_groups))
    dist.barrier()
    engine._config.load_universal_checkpoint = True
    try:
        _, client = engine.load_checkpoint(str(converted), tag=tag)
    finally:
        engine._config.load_universal_checkpoint = False
    dist.barrier()
    if dist.get_rank() == 0:
        shutil.rmtree(converted)
    return client  # type: ignore[no-any-return]


def _convert(source: Path, target: Path) -> None:
    """DeepSpeed's converter, in this process and without its prints."""
    target.mkdir(parents=True, exist_ok=True)
    arguments = Namespace(
        input_folder=str(source),
        output_folder=str(target),
        num_extract_workers=1,
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=False,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ds_to_universal.main(arguments)


def _unite_groups(converted: Path, num_groups: int) -> None:
    """As many optimiser groups as this run has, holding what all of them share."""
    path = converted / "zero" / "optimizer_state.pt"
    state = torch.load(path)
    common = {k: v for k, v in state["param_groups"][0].items() if k not in _OF_ONE_GROUP}
    state["param_groups"] = [dict(common) for _ in range(num_groups)]
    torch.save(state, path)


def _text(layout: Layout) -> str:
    precision = "bf16" if layout.bf16 else "fp32"
    return f"{layout.world} ranks, ep_size {layout.ep_size}, ZeRO {layout.zero_stage}, {precision}"
