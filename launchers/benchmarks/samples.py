"""Batches and networks as the bench wants them: smooth random fields, routes that are spread.

Axes: B samples, T frames, C channels, H rows, W columns.
"""

import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from foundation.models.config import FieldConfig
from foundation.models.moe_pot import Block, MoEPOT
from foundation.models.operator_transformer import OperatorTransformer
from foundation.moe.gate import Gate

_KEPT_MODES = 6  # along each side of the random fields


def random_batch(
    config: FieldConfig, samples: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Batch:
    """Smooth random waves that differ from sample to sample, all of them real."""
    generator = torch.Generator().manual_seed(seed)
    frames = config.context_frames + config.out_frames
    side, channels = config.resolution, config.channels
    modes = torch.randn(samples, frames, channels, _KEPT_MODES, _KEPT_MODES, generator=generator)
    modes = modes.cumsum(1) / torch.arange(1, frames + 1).view(-1, 1, 1, 1)  # slow in time
    fields: Tensor = torch.fft.irfft2(modes.to(torch.complex64), s=(side, side), norm="forward")
    return Batch(
        fields[:, : config.context_frames],
        fields[:, config.context_frames :, : config.num_asked],
        torch.ones(samples, config.num_asked),
        torch.ones(samples, 1, side, side),
        torch.zeros(samples, dtype=torch.int64),
        ("random",) * samples,
    ).to(device)


@torch.no_grad()
def spread_routes(model: OperatorTransformer, batch: Batch) -> int:
    """Centre the gates on a batch, so that its samples go to many experts as trained ones do.

    Fresh gates send nearly all samples to the same few, which makes large products and
    flatters what computes chosen experts alone.

    Returns:
        Fewest experts that a block uses.
    """
    if not isinstance(model, MoEPOT):
        return 0
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        assert block.moe.router is not None, "as published"
        assert isinstance(block.moe.router.gate, Gate)
        bias = block.moe.router.gate.score.bias
        bias.sub_(model(batch).routing[number].logits_BE.mean(0))
    return min(len(routed.experts_BK.unique()) for routed in model(batch).routing)
