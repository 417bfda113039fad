"""What the stream hands to a model: a padded batch and its masks.

Axes: B samples, T frames, C channels (padded), H rows, W columns.
Channels beyond those of a corpus are filled with ones, as MoE-POT does; the
masks say which channels and cells are real.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Context, target and masks.

    Attributes:
        fields: context (B, T_in, C, H, W).
        target: frames that follow (B, T_out, C, H, W).
        channel_mask: (B, C), 1 for channels that are predicted and scored, 0 for
            padding and for an obstacle mask carried as a channel.
        valid_mask: (B, 1, H, W), 1 in the fluid, 0 in solid cells.
        corpus_id: (B,) int64, position in the run's list of corpora; metadata only.
        keys: "pdebench_swe/train-000017@23" (corpus, key, start frame), for reports.
    """

    fields: Tensor
    target: Tensor
    channel_mask: Tensor
    valid_mask: Tensor
    corpus_id: Tensor
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return self.fields.shape[0]

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return replace(
            self,
            **{
                name: getattr(self, name).to(device, non_blocking=True)
                for name in ("fields", "target", "channel_mask", "valid_mask", "corpus_id")
            },
        )
