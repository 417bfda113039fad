"""Ensembles: forecasters in, one forecaster whose forecast is the mean of its members out.

Member k is forecaster `k mod K` of K, under noise pattern `k // K` (`foundation.models.members`);
pattern 0 is none, so that the first K members are the forecasters as they are.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from evaluation.harness.forecaster import Forecaster
from foundation.models.members import as_seen_by, ensemble_fingerprint


def ensemble_of(
    forecasters: Sequence[Forecaster],
    count: int,
    noise: float,
    seed: int = 0,
    name: str | None = None,
) -> Forecaster:
    """An ensemble of checkpoints, of noise, or of both.

    Args:
        forecasters: of one layout, one or more.
        count: members.
        noise: of the given frames, in units of their change; see `as_seen_by`.
        seed: of the noise.
        name: on a leaderboard; by default the forecasters' with the number of members.

    Raises:
        UserError: fewer members than forecasters, forecasters of different layouts, a floor, or
            members that are all the same.
    """
    first = forecasters[0]
    names = [each.facts.name for each in forecasters]
    if any(each.facts.floor for each in forecasters):
        raise UserError(f"{', '.join(names)}: a floor has no members; judge it alone")
    if count < max(2, len(forecasters)):
        raise UserError(
            f"{count} members of {len(forecasters)} checkpoints; ask for "
            f"{max(2, len(forecasters))} or more"
        )
    if count > len(forecasters) and noise == 0.0:
        raise UserError(
            f"{count} members of {len(forecasters)} checkpoints differ by noise alone; "
            "set it above 0"
        )
    for each in forecasters:
        if (each.layout, each.context_frames) != (first.layout, first.context_frames):
            raise UserError(
                f"{each.facts.name}: takes another grid, other channels or frames than "
                f"{first.facts.name}; members of an ensemble take the same"
            )
        if each.routes_by_corpus and each.learnt != first.learnt:
            raise UserError(
                f"{each.facts.name}: router.by=corpus, and it learnt other corpora than "
                f"{first.facts.name}; make an ensemble of runs of the same data.corpora"
            )

    def members(batch: Batch, steps: int) -> Tensor:
        return torch.stack(
            [
                forecasters[k % len(forecasters)].forecast(
                    as_seen_by(batch, k // len(forecasters), noise, seed), steps
                )
                for k in range(count)
            ]
        )

    parts = [each.facts.fingerprint for each in forecasters]
    per_frame = [each.facts.flops_per_frame for each in forecasters]
    mean_flops = None if None in per_frame else sum(f or 0 for f in per_frame) / len(per_frame)
    facts = first.facts.model_copy(
        update={
            "name": name or f"{'+'.join(names)} x{count}",
            "source": ",".join(each.facts.source for each in forecasters),
            "parameters_total": sum(each.facts.parameters_total for each in forecasters),
            "parameters_activated": sum(each.facts.parameters_activated for each in forecasters),
            "flops_per_frame": None if mean_flops is None else round(mean_flops * count),
            "fingerprint": ensemble_fingerprint(parts, count, noise, seed),
        }
    )
    return replace(
        first,
        facts=facts,
        forecast=lambda batch, n: members(batch, n).mean(0),
        members=members,
        routes_by_corpus=any(each.routes_by_corpus for each in forecasters),
    )
