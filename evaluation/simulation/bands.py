"""Bands about a forecast of a scientist's own simulation: members and known frames in, bands out.

The members' spread says where a forecast is unsure; how wide the bands must be for that, the known
frames say: forecasts of them are made as the one that is asked for, and bands are widened until
they hold the promised share of each frame ahead and channel. Starts in one simulation are not drawn
independently, so this is a measurement and no guarantee; what it is worth is measured in turn, on
each start by the factors of the others.
Axes: M members, S starts, K frames ahead, C channels, H rows and W columns of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from evaluation.metrics.bands import scale_of
from evaluation.simulation.known_frames import MOST_STARTS, spread_evenly
from evaluation.simulation.on_model_grid import Array, OnModelGrid, scored_points
from foundation import Surrogate
from foundation.models.members import noise_of

LEVEL = 0.9


@dataclass(frozen=True)
class MemberTerms:
    """How members differ.

    Attributes:
        count: of members.
        noise: of the given frames, in units of their change; see `noise_of`.
        seed: of the noise.
    """

    count: int
    noise: float
    seed: int = 0


class BandReport(Config):
    """What bands are made of, and what they held."""

    level: float
    members: PositiveInt
    noise: float
    seed: int
    starts: tuple[int, ...]  # of forecasts of known frames that factors are from
    tested: PositiveInt  # frames ahead that are known; later ones have the last one's factors
    covered: float | None  # of known frames, by factors of other starts; None of one start

    @property
    def text(self) -> str:
        """For people."""
        count = len(self.starts)
        lines = [
            f"Bands of {self.level:.0%} from {self.members} members, widened until they held as "
            f"much of {count} forecast{'s' * (count > 1)} of known frames",
            f"  tested up to frame {self.tested} ahead; beyond, they are as wide as there",
        ]
        if self.covered is not None:
            lines.append(
                f"  by factors of the other forecasts each held {self.covered:.0%} in the mean; "
                "forecasts of one run are alike, so this is no guarantee for another"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Banded:
    """A forecast with bands, each (K, C, H, W)."""

    mean: Array
    low: Array
    high: Array
    report: BandReport


def banded_forecast(
    models: Sequence[Surrogate],
    simulation: Simulation,
    steps: int,
    terms: MemberTerms,
    keep_detail: bool = False,
) -> Banded:
    """Continue a simulation by members, with bands of 90 %.

    Args:
        models: checkpoints that members are of by turns, of one layout.
        simulation: that fits them.
        steps: frames wanted.
        terms: of the members.
        keep_detail: as for `on_model_grid.forecast`.

    Raises:
        UserError: models of different layouts, or no known frame to measure bands on.
    """
    first = models[0].config
    for model in models:
        if (model.config.layout, model.config.context_frames) != (
            first.layout,
            first.context_frames,
        ):
            raise UserError("members take one grid, one number of channels and of frames alike")
    known = len(simulation.fields) - first.context_frames
    if known < 1:
        raise UserError(
            f"{simulation.source}: has no frames beyond the {first.context_frames} that the model "
            "begins with, so nothing says how wide bands must be; give a longer run, or leave "
            "--members out"
        )
    placed = [OnModelGrid(model, simulation) for model in models]
    tested = min(steps, known)
    starts = spread_evenly(known - tested + 1, MOST_STARTS)
    points = scored_points(simulation, simulation.fields[first.context_frames :])
    scores = []
    for start in starts:
        begin = start + first.context_frames
        members = _members(placed, start, tested, terms, keep_detail)
        true = torch.from_numpy(simulation.fields[begin : begin + tested])
        scores.append(_scores(members, true, points))
    factors_KC = _factors(torch.stack(scores))
    later = factors_KC[-1:].expand(steps - tested, -1)
    members = _members(placed, known, steps, terms, keep_detail)
    mean = members.mean(0)
    half = _scale(members, points) * torch.cat([factors_KC, later])[..., None, None]
    report = BandReport(
        level=LEVEL,
        members=terms.count,
        noise=terms.noise,
        seed=terms.seed,
        starts=tuple(starts),
        tested=tested,
        covered=_covered(torch.stack(scores)),
    )
    return Banded(*(part.float().numpy() for part in (mean, mean - half, mean + half)), report)


def _members(
    placed: Sequence[OnModelGrid], start: int, steps: int, terms: MemberTerms, keep_detail: bool
) -> Tensor:
    """Members' forecasts of what follows one window, on the file's grid (M, K, C, H, W)."""
    found = []
    for number in range(terms.count):
        model, pattern = placed[number % len(placed)], number // len(placed)

        def noisy(contexts: Tensor, pattern: int = pattern) -> Tensor:
            if pattern == 0 or terms.noise == 0:
                return contexts
            return contexts + noise_of(contexts, pattern, terms.noise, terms.seed)

        frames = model.back(model.predict([start], steps, noisy), [start])[0]
        if keep_detail:
            frames = model.with_detail(frames, start + model.context_frames - 1)
        found.append(torch.from_numpy(np.ascontiguousarray(frames)))
    return torch.stack(found)


def _scale(members: Tensor, points: Tensor) -> Tensor:
    """Of the bands (K, C, H, W), but for factors."""
    each = None if len(members) == 1 else members[:, None]
    return scale_of(members.mean(0)[None], each, points)[0]


def _scores(members: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Distances from the mean in the bands' scale (K, C, P); NaN where nothing counts."""
    scores = (true - members.mean(0)).abs() / _scale(members, points)
    scores = torch.where(torch.isfinite(scores), scores, torch.inf)
    return torch.where(points[0] > 0, scores, torch.nan).flatten(2)


def _factors(scores_SKCP: Tensor) -> Tensor:
    """Of each frame ahead and channel, what the promised share of the points stays below (K, C)."""
    pooled = scores_SKCP.permute(1, 2, 0, 3).flatten(2)
    found = np.nanquantile(pooled.numpy(), LEVEL, axis=2, method="higher")
    return torch.from_numpy(np.nan_to_num(found, nan=0.0)).to(scores_SKCP)


def _covered(scores_SKCP: Tensor) -> float | None:
    """Share of each start's points within bands of the other starts' factors, in the mean."""
    if len(scores_SKCP) < 2:
        return None
    shares = []
    for number, own in enumerate(scores_SKCP):
        others = torch.cat([scores_SKCP[:number], scores_SKCP[number + 1 :]])
        within = own <= _factors(others)[..., None]
        shares.append(within[~own.isnan()].double().mean())
    return float(torch.stack(shares).mean())
