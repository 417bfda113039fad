"""Initial weights as a function of (seed, module path), whatever rank holds the module.

Every module draws from its own generator, keyed by its path in the model, so
that an expert starts from the same weights in every layout of ranks. What no
rule reaches is refused: memory that nobody filled looks like weights.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from foundation.nn.stacked import Stacked

_BY_FAN = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


def initialise(model: nn.Module, seed: int) -> None:
    """Fill all parameters and buffers of a model in place.

    Args:
        model: its modules define `reset(generator)`, are `Stacked`, or are torch's or like torch's:
            linear maps and convolutions, multi-head attention, and all that have
            `reset_parameters`.
        seed: of the whole model.

    Raises:
        UserError: no rule reached some number of a parameter or buffer.
    """
    untouched = _spoil(model)
    for path, module in model.named_modules():
        if isinstance(module, _BY_FAN):
            uniform_by_fan(module.weight, module.bias, _generator(seed, path))
        elif isinstance(module, Stacked):
            for index in range(len(module)):
                module.start(index, _generator(seed, f"{path}.{module.first + index}"))
        elif hasattr(module, "reset_parameters"):
            _by_torchs_rule(module.reset_parameters, _key(seed, path))
    # Second pass: a module's own rule has the last word on the linear maps it holds.
    for path, module in model.named_modules():
        if hasattr(module, "reset"):
            module.reset(_generator(seed, path))
        elif isinstance(module, nn.MultiheadAttention):
            _by_torchs_rule(module._reset_parameters, _key(seed, path))
    _refuse_unreached(model, untouched)


def _key(seed: int, path: str) -> int:
    return int.from_bytes(sha256(f"{seed}/{path}".encode()).digest()[:7], "big")


def _generator(seed: int, path: str) -> torch.Generator:
    return torch.Generator().manual_seed(_key(seed, path))


@torch.no_grad()
def uniform_by_fan(weight: Tensor, bias: Tensor | None, generator: torch.Generator) -> None:
    """Fill a linear map or a convolution, in place, as torch does."""
    # torch takes a fan from the second axis on, of a transposed convolution too.
    bound = weight[0].numel() ** -0.5
    weight.uniform_(-bound, bound, generator=generator)
    if bias is not None:
        bias.uniform_(-bound, bound, generator=generator)


def _by_torchs_rule(rule: Callable[[], None], key: int) -> None:
    """A rule that takes no generator: torch's default one stands in for it, and is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key)
        rule()


@torch.no_grad()
def _spoil(model: nn.Module) -> dict[str, int]:
    """Fill with NaN; what has none, such as counts, by its number of changes so far."""
    untouched = {}
    for name, tensor in _numbers(model):
        if _has_nan(tensor):
            tensor.fill_(torch.nan)
        else:
            untouched[name] = tensor._version
    return untouched


def _refuse_unreached(model: nn.Module, untouched: dict[str, int]) -> None:
    missed = [
        name
        for name, tensor in _numbers(model)
        if (tensor.isnan().any() if _has_nan(tensor) else tensor._version == untouched[name])
    ]
    if missed:
        owner = type(model.get_submodule(missed[0].rpartition(".")[0])).__name__
        others = f" (and {len(missed) - 1} more)" if missed[1:] else ""
        raise UserError(
            f"{type(model).__name__}: nothing says how {missed[0]}{others} starts; define "
            f"`reset(generator)` on {owner}, which fills it in place"
        )


def _numbers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _has_nan(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
