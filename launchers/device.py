"""The device that a command runs on: a name from the command line in, a tried one out."""

import torch

from data_shards.errors import UserError


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
