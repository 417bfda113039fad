"""In-loop validation: corpora in, a callback for the trainer out.

Axes: N samples over all corpora. Every rank makes the same number of forward
passes of the same batch size, since the forwards of an expert-parallel model are
collective; a rank without samples left repeats one and its result is dropped.
Every sample's value is put into its own slot of a vector that is zero elsewhere,
so the sum over ranks is exact and the means do not depend on the world size.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout, check_fits
from data_shards.stream.windows import check_long_enough, load_windows
from evaluation.harness.scored_grid import scored_stride
from evaluation.metrics.points import scored_points
from evaluation.metrics.relative import l2re
from foundation.models.rollout import rollout


class Validator:
    """L2RE of short rollouts from frame 0, per corpus."""

    def __init__(
        self,
        corpora: Sequence[ShardedCorpus],
        layout: ModelLayout,
        context_frames: int,
        horizon: int,
        limit: int,
        batch_size: int,
        learnt: Sequence[str] = (),
    ) -> None:
        """Plan which trajectories are judged; nothing is read yet.

        Args:
            corpora: opened splits, each corpus once.
            layout: grid and channels of the model.
            context_frames: frames the model takes.
            horizon: frames to roll out.
            limit: at most this many trajectories per corpus, the first ones.
            batch_size: per rank.
            learnt: corpora of the training, in their order.

        Raises:
            UserError: trajectories too short, a corpus that does not fit into the model, or
                a horizon, limit or batch size below 1.
        """
        for name, value in (("horizon", horizon), ("limit", limit), ("batch_size", batch_size)):
            if value < 1:
                raise UserError(f"validation: {name}={value}, wanted a positive number")
        for corpus in corpora:
            check_fits(corpus.card, layout)
            asked = _asked(corpus, context_frames, horizon)
            length = corpus.card.window_frames(context_frames, asked)
            check_long_enough(corpus, length, "validation")
        self._corpora = tuple(corpora)
        self._layout = layout
        self._context_frames, self._horizon = context_frames, horizon
        self._counts = tuple(min(limit, corpus.num_trajectories) for corpus in corpora)
        self._batch_size = batch_size
        self._learnt = tuple(learnt)

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        *,
        rank: int = 0,
        world: int = 1,
        sum_over_ranks: Callable[[Tensor], Tensor] = lambda values: values,
        watch: Callable[[], None] = lambda: None,
    ) -> dict[str, float]:
        """Judge the model as it stands; its training mode is put back afterwards.

        Args:
            model: called with a batch, gives a prediction; put into evaluation mode.
            rank: of this process.
            world: number of processes that share the samples.
            sum_over_ranks: all-reduce of a float64 vector on the model's device.
            watch: called before every batch.

        Returns:
            Corpus name -> mean L2RE over its samples, the same on every rank; inf where a
            forecast is not finite.
        """
        was_training = model.training
        model.eval()
        try:
            slots_N = self._judge(model, rank, world, watch)
        finally:
            model.train(was_training)
        values = torch.split(sum_over_ranks(slots_N).cpu(), list(self._counts))
        names = (corpus.card.name for corpus in self._corpora)
        return {name: float(part.mean()) for name, part in zip(names, values, strict=True)}

    def _judge(self, model: nn.Module, rank: int, world: int, watch: Callable[[], None]) -> Tensor:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        slots_N = torch.zeros(sum(self._counts), dtype=torch.float64, device=device)
        first_slot = 0
        for corpus, count in zip(self._corpora, self._counts, strict=True):
            for chosen, own in self._share(count, rank, world):
                watch()
                values = self._l2re(model, corpus, chosen, device)
                slots = torch.tensor(chosen[:own], dtype=torch.int64, device=device)
                slots_N[first_slot + slots] = values[:own].double()
            first_slot += count
        return slots_N

    def _share(self, count: int, rank: int, world: int) -> list[tuple[list[int], int]]:
        """Batches of one rank: (trajectories, how many of them from the front count)."""
        per_rank = -(-count // world)
        own = list(range(rank, count, world))
        batches = []
        for first in range(0, per_rank, self._batch_size):
            mine = own[first : first + self._batch_size]
            batches.append((mine + [0] * (self._batch_size - len(mine)), len(mine)))
        return batches

    def _l2re(
        self, model: nn.Module, corpus: ShardedCorpus, chosen: list[int], device: torch.device
    ) -> Tensor:
        asked = _asked(corpus, self._context_frames, self._horizon)
        batch = load_windows(
            corpus,
            chosen,
            self._layout,
            context_frames=self._context_frames,
            target_frames=asked,
            learnt=self._learnt,
        ).to(device)
        points = scored_points(
            batch.asked_mask, batch.valid_mask, scored_stride(self._layout, corpus)
        )
        return l2re(rollout(model, batch, asked), batch.asked, points)


def _asked(corpus: ShardedCorpus, context: int, horizon: int) -> int:
    """Frames to predict: the horizon, or those that are given if the same are asked."""
    return horizon if corpus.card.window == "next" else context
