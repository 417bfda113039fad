"""Scales of a network with named channels, measured over what a run learns from.

Medians over every sample of every corpus, in the network's own layout: the same on every rank
and in every layout of ranks, so that a resumed run measures what it measured before.
Source: transfer scaling (NeurIPS 2023); which medians a fine-tuned network takes is not in the
published code: here it keeps those of its pre-training unless `scales=measured`.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout
from data_shards.stream.windows import check_long_enough, load_windows
from foundation.models.framing import measured_scales
from foundation.train.config import RunConfig

_AT_ONCE = 64  # trajectories


def with_scales(run: RunConfig, corpora: Sequence[ShardedCorpus]) -> RunConfig:
    """The run with the scales of what it learns from in the configuration of its network.

    Args:
        run: of a network with named channels.
        corpora: opened, as they are learnt from; first frames are measured.
    """
    model = run.model
    for corpus in corpora:
        check_long_enough(corpus, model.context_frames, "measuring scales")
    scales = measured_scales(_given(corpora, model.layout, model.context_frames), model.slots)
    measured = type(model).model_validate({**model.model_dump(), "scales": scales.model_dump()})
    return run.model_copy(update={"model": measured})


def _given(corpora: Sequence[ShardedCorpus], layout: ModelLayout, frames: int) -> Iterator[Tensor]:
    for corpus in corpora:
        for first in range(0, len(corpus), _AT_ONCE):
            chosen = range(first, min(first + _AT_ONCE, len(corpus)))
            batch = load_windows(corpus, chosen, layout, context_frames=frames, target_frames=0)
            yield from batch.given
