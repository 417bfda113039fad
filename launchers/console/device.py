"""What a command computes on: a name from the command line in, a tried device or a model out."""

import argparse

import torch

from data_shards.errors import UserError
from foundation import Surrogate
from foundation.nn.device import rounds_to_tf32


def open_placed(options: argparse.Namespace, checkpoint: str | None = None) -> Surrogate:
    """The checkpoint that the options name, on their device.

    Args:
        options: with `checkpoint` and those of `placing_options`.
        checkpoint: another one, in the same place.

    Raises:
        UserError: this machine does not have the device, or there is no such checkpoint, or it is
            one of boxes.
    """
    device = usable_device(options.device)
    name = checkpoint or options.checkpoint
    model = Surrogate.from_pretrained(name).to(device)
    if model.config.dimensions == 3:
        raise UserError(
            f"{name}: a {model.config.model_type} of boxes, and files are read as "
            "planes; call it from Python (foundation.Surrogate), or judge it on shards with "
            "foundation evaluate"
        )
    if options.bf16:
        model = model.bfloat16()
    return model.compiled() if options.compile else model


def open_continuing(options: argparse.Namespace) -> Surrogate:
    """As `open_placed`, of a model that continues frames.

    Raises:
        UserError: as `open_placed`, or the model answers steady problems.
    """
    model = open_placed(options)
    if model.config.layout.slots:
        raise UserError(
            f"{options.checkpoint}: answers steady problems; foundation predict tells with its "
            "answer how far to trust it"
        )
    return model


def arithmetic(options: argparse.Namespace, model: Surrogate) -> str:
    """What the options of `placing_options` let a model compute in, for reports."""
    if options.bf16:
        return "bfloat16"
    device = next(model.parameters()).device
    return "tf32" if options.tf32 and rounds_to_tf32(device) else "float32"


def usable_device(name: str | None) -> torch.device:
    """The device asked for, tried out, so that a wrong one fails before anything is loaded.

    Args:
        name: cpu, cuda, cuda:1; the first GPU by default, if there is any.

    Raises:
        UserError: this machine does not have it.
    """
    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {device}: not usable here ({reason}); try cpu") from None
