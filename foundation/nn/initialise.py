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
        model: modules either define `reset(generator)` or are torch's linear, convolution,
            group-norm and layer-norm modules, which get torch's usual rules.
        seed: of the whole model.
    """
    for path, module in model.named_modules():
        generator = torch.Generator().manual_seed(_key(seed, path))
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
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
def _uniform_by_fan(
    module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator
) -> None:
    # torch takes a fan from the second axis on, of a transposed convolution too.
    bound = module.weight[0].numel() ** -0.5
    module.weight.uniform_(-bound, bound, generator=generator)
    if module.bias is not None:
        module.bias.uniform_(-bound, bound, generator=generator)
