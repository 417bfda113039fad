"""Modules of one form held together: every parameter has them along its first axis.

A GPU launches one product for all of them, an optimiser sees a handful of large tensors. In state
dicts, and with them in every checkpoint, each module stands by itself under its number, as if they
were in a list: "experts.3.weight".
"""

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from foundation.nn.counted import note_parts


class Stacked(nn.Module):
    """Base; a concrete one makes its parameters, (E, ...) each, and says how one of E starts."""

    def __init__(self, number: int) -> None:
        """Hold some modules.

        Args:
            number: E, of the modules.
        """
        super().__init__()
        self.first = 0  # number of the first one here, where ranks share them
        self.number = number
        note_parts(number)
        self.register_state_dict_post_hook(_told_apart)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_together)  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return self.number

    def start(self, index: int, generator: torch.Generator) -> None:
        """Fill one module's initial values in place.

        Args:
            index: of the module, below E.
            generator: of its own.
        """
        raise NotImplementedError

    def part(self, first: int, number: int) -> Self:
        """Some of them, by copy: those that a rank owns. This one is not used any more.

        Args:
            first: index of the first one.
            number: how many.
        """
        for name, parameter in list(self.named_parameters()):
            owner, _, last = name.rpartition(".")
            owned = parameter.detach()[first : first + number].clone()
            new = nn.Parameter(owned, requires_grad=parameter.requires_grad)
            setattr(self.get_submodule(owner), last, new)
        self.first, self.number = self.first + first, number
        return self


def has_stacks(model: nn.Module) -> bool:
    """Whether a part of a model is a stack."""
    return any(isinstance(module, Stacked) for module in model.modules())


def _told_apart(stacked: Stacked, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    """Module by module, as a list of them has its tensors."""
    stacks = [(name, state.pop(prefix + name)) for name in _names(stacked)]
    for index in range(len(stacked)):
        for name, stack in stacks:
            state[f"{prefix}{index}.{name}"] = stack[index]


def _put_together(stacked: Stacked, state: dict[str, Tensor], prefix: str, *_rest: Any) -> None:
    """The inverse; what is missing or of another shape stays apart, for torch to name it."""
    for name in _names(stacked):
        each = [f"{prefix}{index}.{name}" for index in range(len(stacked))]
        shapes = {state[key].shape for key in each if key in state}
        if len(shapes) == 1 and all(key in state for key in each):
            state[prefix + name] = torch.stack([state.pop(key) for key in each])


def _names(stacked: Stacked) -> Iterator[str]:
    for name, _ in stacked.named_parameters():
        yield name
