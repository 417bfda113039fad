"""Bytes of tensors as torch's profiler sees them allocated and freed."""

from typing import Any, Self

from torch.profiler import ProfilerActivity, profile


class TensorBytes:
    """Most bytes above those that were there when it began."""

    def __init__(self) -> None:
        self.seen = 0
        self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)

    def __enter__(self) -> Self:
        self._profile.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._profile.__exit__(*error)
        events = self._profile.profiler.kineto_results.events()
        changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
        held = 0
        for _, change in changes:
            held += change
            self.seen = max(self.seen, held)
