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
    weights = {
        name.replace(_SPREAD, _PLAIN): tensor.detach().float().cpu()
        for name, tensor in module.named_parameters()
    }
    weights |= {name: buffer.cpu() for name, buffer in module.named_buffers()}
    for path, bank in module.named_modules():
        if isinstance(bank, ExpertParallelBank):
            for owner in range(1, bank.ep_size):  # the first group holds every expert once
                weights |= _experts_of(owner, bank, path, rank)
    return weights if rank == 0 else None


def _experts_of(owner: int, bank: ExpertParallelBank, path: str, rank: int) -> dict[str, Tensor]:
    """Send the experts of one bank from their owner to rank 0, tensor by tensor."""
    received = {}
    for number, expert in bank.deepspeed_moe.experts.deepspeed_experts.items():
        for name, parameter in expert.named_parameters():
            if rank == owner:
                dist.send(parameter.detach().contiguous(), 0)
            elif rank == 0:
                tensor = torch.empty_like(parameter)
                dist.recv(tensor, owner)
                theirs = int(number) + owner * bank.num_local_experts
                received[f"{path}{_PLAIN}{theirs}.{name}"] = tensor.float().cpu()
    return received
