"""Windows of stored trajectories: which ones in, samples or a batch out.

A window starts at frame 0, as in the published protocol, unless it is said otherwise.
"""

import math
from collections.abc import Sequence

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.assemble import Samples, to_batch
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, Placement, placement_of, resize_mask
from data_shards.stream.origin import Origin, origin_from


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


def read_window(
    corpus: ShardedCorpus,
    trajectory: int,
    start: int,
    layout: ModelLayout,
    placement: Placement,
    frames: tuple[int, int],
    key: str,
    corpus_id: int = 0,
) -> Samples:
    """One window: given frames, then (or the same) asked frames, as the card says.

    Args:
        corpus: opened shards of one split.
        trajectory: its number.
        start: first given frame.
        layout: grid and channels of the model.
        placement: of the corpus's card in it.
        frames: given and asked.
        key: of the sample.
        corpus_id: position in the run's list of corpora.
    """
    given, asked = frames
    window = corpus.window(trajectory, start, corpus.card.window_frames(given, asked))
    return Samples(
        given=[window[:given]],
        asked=[window[:asked] if corpus.card.window == "same" else window[given:]],
        fluid=resize_mask(corpus.mask(trajectory), layout.grid)[None],
        placement=placement,
        keys=(key,),
        origins=(origin_of(corpus, trajectory),),
        corpus_id=corpus_id,
    )


def load_windows(
    corpus: ShardedCorpus,
    trajectories: Sequence[int],
    layout: ModelLayout,
    *,
    context_frames: int,
    target_frames: int,
    start: int | Sequence[int] = 0,
    learnt: Sequence[str] = (),
) -> Batch:
    """Read windows of some trajectories.

    Args:
        corpus: opened shards of one split.
        trajectories: which ones, in the order of the batch.
        layout: grid and channels of the model.
        context_frames: frames given.
        target_frames: frames asked.
        start: first given frame, of all or of each.
        learnt: corpora of the model's training, in their order, among which a sample is numbered;
            others have number 0.

    Raises:
        UserError: the corpus does not fit into the layout.
    """
    starts = [start] * len(trajectories) if isinstance(start, int) else start
    placement = placement_of(corpus.card, layout)
    frames = context_frames, target_frames
    number = learnt.index(corpus.name) if corpus.name in learnt else 0
    windows = [
        read_window(
            corpus, i, first, layout, placement, frames, f"{corpus.keys[i]}@{first}", number
        )
        for i, first in zip(trajectories, starts, strict=True)
    ]
    return to_batch(windows, layout)


def origin_of(corpus: ShardedCorpus, trajectory: int) -> Origin:
    """What a shard says of a trajectory beside its fields."""
    return origin_from(corpus.metadata(trajectory), fixed_parameters(corpus.card))


def fixed_parameters(card: CorpusCard) -> dict[str, float]:
    """Parameters without a range; written with few digits, so ends may differ in the last."""
    return {
        name: (limits.low + limits.high) / 2
        for name, limits in card.parameters.items()
        if math.isclose(limits.low, limits.high, rel_tol=1e-6)
    }
