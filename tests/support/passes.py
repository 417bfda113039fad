"""Memory that operations pass over, as torch's dispatcher sees them: what is read and written."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PassedBytes(TorchDispatchMode):
    """While it is on, adds up bytes of all tensors that operations take and of those they give.

    What an operation changes in place is taken and given; views pass over nothing, nor does
    what only reserves memory, and collectives are links' business.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        name = func.name()
        if name.startswith("aten::") and not (_is_view(func) or "empty" in name):
            taken = tree_leaves((args, kwargs))
            if name.startswith(("aten::copy_", "aten::fill_", "aten::zero_")):
                taken = taken[1:]  # what is overwritten is not read
            self.seen += _bytes(taken) + _bytes(_written(func, args, kwargs, given))
        return given


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return any(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def _written(func: Any, args: Any, kwargs: Any, given: Any) -> list[Any]:
    """What is given, or what is changed in place by an operation that gives nothing."""
    if func._schema.returns:
        return tree_leaves(given)
    named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | (kwargs or {})
    changed = [a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
    return tree_leaves([named[name] for name in changed])


def _bytes(values: list[Any]) -> int:
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, Tensor))
