"""Bytes of tensors as torch's profiler sees them allocated and freed."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch.profiler import ProfilerActivity, profile


class TensorBytes:
    """Most bytes above those that were there when it began."""

    def __init__(self) -> None:
        self.seen = 0
        self._profile = profile(
            activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
        )

    def __enter__(self) -> Self:
        self._profile.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        self._profile.__exit__(*error)  # type: ignore[no-untyped-call]
        profiler: Any = self._profile.profiler
        events = profiler.kineto_results.events()
        changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
        held = 0
        for _, change in changes:
            held += change
            self.seen = max(self.seen, held)


def most_bytes(step: Callable[[], object], device: torch.device) -> int:
    """Most that the tensors of a step take at once, beside what was there before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    with TensorBytes() as bytes_of_tensors:
        step()
    return bytes_of_tensors.seen
