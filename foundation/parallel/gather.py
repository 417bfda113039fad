"""Whole weights of a spread model: an engine in, one state dict on the first rank out."""

from typing import Any

import torch.distributed as dist
from deepspeed.utils import safe_get_full_fp32_param
from torch import Tensor

from foundation.parallel.expert_parallel import ExpertParallelBank

_SPREAD = ".deepspeed_moe.experts.deepspeed_experts."
_PLAIN = ".experts."


def gather_weights(engine: Any) -> dict[str, Tensor] | None:
    """All parameters in float32 and all buffers, by the names of the plain model; collective.

    Under ZeRO these are the optimiser's float32 masters, not their bf16 copies.

    Returns:
        The state dict on rank 0, None elsewhere.
    """
    own: dict[str, Tensor] = {}
    for name, parameter in engine.module.named_parameters():
        full = safe_get_full_fp32_param(parameter) if engine.zero_optimization() else parameter
        own[name.replace(_SPREAD, _PLAIN)] = full.detach().float().cpu()
    own |= {name: buffer.cpu() for name, buffer in engine.module.named_buffers()}
    ep_size = max(
        (m.ep_size for m in engine.module.modules() if isinstance(m, ExpertParallelBank)), default=1
    )
    rank, world = dist.get_rank(), dist.get_world_size()
    # The first expert-parallel group holds every expert once; the rest sends nothing.
    experts = {n: t for n, t in own.items() if ".routed." in n} if 0 < rank < ep_size else {}
    parts: list[Any] | None = [None] * world if rank == 0 else None
    dist.gather_object(experts, parts)
    if parts is None:
        return None
    for part in parts[1:]:
        own |= part
    return own
