"""What the stream hands to a model: what is given, what is asked, and the masks of both.

Axes: B samples, T frames, C channels (padded), S the grid: H rows and W columns.
Channels beyond those of a corpus are filled with ones, as MoE-POT does; the
masks say which channels and cells are real.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from data_shards.stream.origin import Origin

_TENSORS = ("given", "asked", "asked_mask", "valid_mask", "corpus_id")


@dataclass(frozen=True)
class Batch:
    """Samples of one layout, as a model takes them.

    Attributes:
        given: what is known, (B, T_in, C_in, *S).
        asked: what is to be predicted, (B, T_out, C_out, *S).
        asked_mask: (B, C_out), 1 for channels that are predicted and scored, 0 for
            padding and for an obstacle mask carried as a channel.
        valid_mask: (B, 1, *S), 1 in the fluid, 0 in solid cells.
        corpus_id: (B,) int64, position in the run's list of corpora; metadata only.
        keys: "pdebench_swe/train-000017@23" (corpus, key, start frame), for reports.
        origins: where each sample comes from (B), or empty; MoE-POT never looks at them.
        routed_by: (B, T_in, C_in, *S), frames by which a gate that sees the context routes: in a
            rollout the first ones, in training those without noise; None: it sees what is given.
    """

    given: Tensor
    asked: Tensor
    asked_mask: Tensor
    valid_mask: Tensor
    corpus_id: Tensor
    keys: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    routed_by: Tensor | None = None

    def __len__(self) -> int:
        return self.given.shape[0]

    def with_rows(self, others: Mapping[int, "Batch"]) -> "Batch":
        """The batch with batches of one sample, on the same device, in place of some rows."""

        def rows(name: str) -> tuple[Any, ...]:
            of_others = {r: one for r, b in others.items() for one in getattr(b, name)[:1]}
            return tuple(of_others.get(row, one) for row, one in enumerate(getattr(self, name)))

        tensors: dict[str, Any] = {name: torch.stack(rows(name)) for name in _TENSORS}
        return replace(self, **tensors, keys=rows("keys"), origins=rows("origins"))

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in _TENSORS}
        return replace(self, **moved)

    def pin_memory(self) -> "Batch":
        """The same batch in memory that a GPU copies from while others go on."""
        pinned = {name: getattr(self, name).pin_memory() for name in _TENSORS}
        return replace(self, **pinned)

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Keep its memory until what was launched on a stream is done with it."""
        for name in _TENSORS:
            getattr(self, name).record_stream(stream)

    def share(self) -> "Batch":
        """The same batch, its tensors moved in place to memory that other processes see.

        Raises:
            RuntimeError: there is too little of it.
        """
        for name in _TENSORS:
            getattr(self, name).share_memory_()
        return self
