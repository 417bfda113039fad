"""Operations that a GPU would launch, counted on a CPU: those that compute or copy, not views."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from unittest import mock

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_NO_LAUNCH = {
    *("view", "_unsafe_view", "_reshape_alias", "alias", "as_strided", "detach", "lift_fresh"),
    *("t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "unfold", "diagonal"),
    *("slice", "select", "split", "split_with_sizes", "unbind"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
    *("_record_function_enter_new", "_record_function_exit", "is_same_size"),
}


class Launches(TorchDispatchMode):
    """Counts by name; `read` are those whose number the host waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.seen.total()

    @property
    def read(self) -> int:
        return self.seen["_local_scalar_dense"]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        name = func.overloadpacket.__name__
        if name not in _NO_LAUNCH:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


class Reads(TorchDispatchMode):
    """Counts how often the host reads numbers of a tensor, for which it would wait on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> Self:
        real = self._real = Tensor.tolist

        def counted(tensor: Tensor) -> Any:
            self.seen["tolist"] += 1
            return real(tensor)

        Tensor.tolist = counted  # type: ignore[method-assign]
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        Tensor.tolist = self._real  # type: ignore[method-assign]
        super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "unique", "unique_consecutive"):
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Take the ways that a GPU takes, on a CPU: fewer and larger operations."""
    with (
        mock.patch("foundation.moe.mixing.in_launches", return_value=True),
        mock.patch("foundation.moe.spectral.in_launches", return_value=True),
        mock.patch("foundation.nn.normalise.in_launches", return_value=True),
    ):
        yield
