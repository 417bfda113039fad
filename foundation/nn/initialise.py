"""Initial weights as a function of (seed, module path), whatever rank holds the module.

Every module draws from its own generator, keyed by its path in the model, so
that an expert starts from the same weights in every layout of ranks.
"""

from hashlib import sha256

import torch
from torch import nn


def initialise(model: nn.Module, seed: int) -> None:
    """Fill all parameters and buffers of a model in place.

    Args:
        model: modules either define `reset(generator)` or are torch's linear,
            group-norm and layer-norm modules, which get torch's usual rules.
        seed: of the whole model.
    """
    for path, module in model.named_modules():
        generator = torch.Generator().manual_seed(_key(seed, path))
        if isinstance(module, nn.Linear):
            _uniform_by_fan(module, generator)
        elif isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.reset_parameters()
    # Second pass: a module's own rule has the last word on the linear maps it holds.
    for path, module in model.named_modules():
        if hasattr(module, "reset"):
            module.reset(torch.Generator().manual_seed(_key(seed, path)))


def _key(seed: int, path: str) -> int:
    return int.from_bytes(sha256(f"{seed}/{path}".encode()).digest()[:7], "big")


@torch.no_grad()
def _uniform_by_fan(linear: nn.Linear, generator: torch.Generator) -> None:
    bound = linear.in_features**-0.5
    linear.weight.uniform_(-bound, bound, generator=generator)
    if linear.bias is not None:
        linear.bias.uniform_(-bound, bound, generator=generator)
