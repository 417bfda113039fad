"""Noise injection: a batch in, a batch with a noisy context out.

Axes: B samples, T frames, C channels, S the grid of one to three axes.
Source: MoE-POT: `x + scale * ||x||_2 * normal`, the norm per sample and channel
over frames and space. Every sample draws from its own generator, keyed by its
number in the stream, so that noise does not depend on the layout of ranks.
It stands for the errors that a rollout feeds back; where other channels are asked than are given,
as in a steady problem, nothing is fed back and nothing is added. A gate that sees the context sees
it without the noise, which fills short waves that a smooth field leaves empty: so it chooses in
training as it does for forecasts.
"""

from dataclasses import replace
from typing import Literal

import torch

from data_shards.hashing import keyed
from data_shards.stream.batch import Batch
from foundation.physics.norms import space


def with_noise(
    batch: Batch, scale: float, seed: int, first_sample: int, on: Literal["real", "all"] = "real"
) -> Batch:
    """Add noise to the context's channels.

    Args:
        batch: context (B, T, C, *S).
        scale: of the noise, relative to the norm; 0 leaves the batch alone.
        seed: of the run.
        first_sample: number in the stream of the batch's first sample.
        on: channels that are asked, or padding and obstacle masks too, as published.
    """
    fields = batch.given
    if scale == 0.0 or batch.asked_mask.shape[1] != fields.shape[2]:
        return batch
    noise = torch.empty_like(fields)
    for row in range(len(batch)):
        generator = torch.Generator(fields.device)
        generator.manual_seed(keyed(f"noise/{first_sample + row}", seed) >> 1)
        noise[row].normal_(generator=generator)
    norm = fields.square().sum((1, *space(fields)), keepdim=True).sqrt()
    if on == "real":
        noise = noise * batch.asked_mask[:, None, :, *(None,) * len(space(fields))]
    return replace(batch, given=fields + scale * norm * noise, routed_by=fields)
