"""Trajectories as a judge sees them: indices in, a batch of context and truth out.

A window starts at frame 0, as in the published protocol, unless a task says otherwise.
"""

from collections.abc import Sequence

import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, to_model_layout


def check_long_enough(corpus: ShardedCorpus, frames: int, wanted_by: str) -> None:
    """Refuse trajectories that end before the window does.

    Raises:
        UserError: the corpus has fewer frames than `frames`.
    """
    if corpus.frames < frames:
        raise UserError(
            f"corpus {corpus.card.name}: its trajectories have {corpus.frames} frames, "
            f"{wanted_by} needs {frames}; generate longer ones or ask for fewer frames"
        )


def load_windows(
    corpus: ShardedCorpus,
    trajectories: Sequence[int],
    layout: ModelLayout,
    *,
    context_frames: int,
    target_frames: int,
    start: int | Sequence[int] = 0,
) -> Batch:
    """Read windows of some trajectories.

    Args:
        corpus: opened shards of one split.
        trajectories: which ones, in the order of the batch.
        layout: grid and channels of the model.
        context_frames: frames given.
        target_frames: frames to predict.
        start: first frame of the context, of all or of each.

    Returns:
        Fields (B, context_frames, C, R, R), target (B, target_frames, C, R, R), masks.
    """
    length = context_frames + target_frames
    starts = [start] * len(trajectories) if isinstance(start, int) else start
    windows = list(zip(trajectories, starts, strict=True))
    fields, asked_masks, valid_masks = zip(
        *(
            to_model_layout(corpus.window(i, first, length), corpus.mask(i), corpus.card, layout)
            for i, first in windows
        ),
        strict=True,
    )
    frames = torch.stack(fields)
    return Batch(
        given=frames[:, :context_frames],
        asked=frames[:, context_frames:],
        asked_mask=torch.stack(asked_masks),
        valid_mask=torch.stack(valid_masks),
        corpus_id=torch.zeros(len(fields), dtype=torch.int64),
        keys=tuple(f"{corpus.keys[i]}@{first}" for i, first in windows),
    )
