"""Whole weights of a spread model: an engine in, one state dict on the first rank out."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from foundation.parallel.expert_parallel import ExpertParallelBank

_SPREAD = ".deepspeed_moe.experts.deepspeed_experts."
_PLAIN = ".experts."


def gather_weights(engine: Any) -> dict[str, Tensor] | None:
    """All parameters in float32 and all buffers, by the names of the plain model; collective.

    The values are those the model computes with: of a bf16 run the bf16 ones,
    not the optimiser's masters, so that the copy forecasts what was validated.

    Returns:
        The state dict on rank 0, None elsewhere.
    """
    module, rank = engine.module, dist.get_rank()
    buffers = {name for name, _ in module.named_buffers()}
    weights = {
        name.replace(_SPREAD, _PLAIN): (tensor if name in buffers else tensor.float()).cpu()
        for name, tensor in module.state_dict().items()
    }
    for path, bank in module.named_modules():
        if isinstance(bank, ExpertParallelBank):
            for owner in range(1, bank.ep_size):  # the first group holds every expert once
                weights |= _experts_of(owner, bank, path, rank)
    return weights if rank == 0 else None


def _experts_of(owner: int, bank: ExpertParallelBank, path: str, rank: int) -> dict[str, Tensor]:
    """Send the experts of one bank from their owner to rank 0, stack by stack."""
    received = {}
    for name, parameter in bank.experts.named_parameters():
        if rank == owner:
            dist.send(parameter.detach().contiguous(), 0)
        elif rank == 0:
            stack = torch.empty_like(parameter)
            dist.recv(stack, owner)
            for number, tensor in enumerate(stack.float().cpu(), owner * bank.num_local_experts):
                received[f"{path}{_PLAIN}{number}.{name}"] = tensor
    return received
