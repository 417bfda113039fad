"""Bands about a forecast of a scientist's own simulation: members and known frames in, bands out.

The members' spread says where a forecast is unsure; how wide the bands must be for that,
`foundation evaluate` has found on a corpus, or the known frames say: forecasts of them are made as
that which is asked for, and bands are widened until they hold the promised share of each frame
ahead and channel. What a corpus says is guaranteed for trajectories drawn as its own were. Starts
in one simulation are not drawn independently, so what these say is a measurement and no guarantee;
what it is worth is measured in turn, on each start by the factors of the others.
Axes: M members, S starts, K frames ahead, C channels, H rows and W columns of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from evaluation.metrics.bands import scale_of
from evaluation.records.record import Calibration
from evaluation.records.results import read_results
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
    corpus: str | None  # whose trajectories they are from instead
    trajectories: NonNegativeInt  # so many of them
    tested: PositiveInt  # frames ahead that are known; later ones have the last one's factors
    covered: float | None  # of known frames, by factors of other starts; None of one start

    @property
    def text(self) -> str:
        """For people."""
        count = len(self.starts)
        of = (
            f"{self.trajectories} trajectories of {self.corpus}"
            if self.corpus
            else f"{count} forecast{'s' * (count > 1)} of known frames"
        )
        lines = [
            f"Bands of {self.level:.0%} from {self.members} member{'s' * (self.members > 1)}, "
            f"widened until they held as much of {of}",
            f"  tested up to frame {self.tested} ahead; beyond, they are as wide as there",
        ]
        if self.members > 1:
            lines.append("  the errors above are of the checkpoint itself, not of the mean")
        if self.corpus:
            lines.append("  that holds of simulations drawn as those were, and of no others")
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
    calibration: Calibration | None = None,
) -> Banded:
    """Continue a simulation by members, with bands of 90 %, or of what a calibration says.

    Args:
        models: checkpoints that members are of by turns, of one layout.
        simulation: that fits them.
        steps: frames wanted.
        terms: of the members.
        keep_detail: as for `on_model_grid.forecast`.
        calibration: of these members on a corpus; None: by the known frames.

    Raises:
        UserError: models of different layouts, no known frame to measure bands on, or a calibration
            of other channels.
    """
    first = models[0].config
    for model in models:
        if (model.config.layout, model.config.context_frames) != (
            first.layout,
            first.context_frames,
        ):
            raise UserError("members take one grid, one number of channels and of frames alike")
    placed = [OnModelGrid(model, simulation) for model in models]
    points = scored_points(simulation, simulation.fields[first.context_frames - 1 :])
    if calibration is None:
        found = _by_known_frames(placed, simulation, steps, terms, keep_detail, points)
    else:
        found = _by_corpus(calibration, len(simulation.channels), steps)
    members = _members(
        placed, len(simulation.fields) - first.context_frames, steps, terms, keep_detail
    )
    mean = members.mean(0)
    later = found.factors_KC[-1:].expand(steps - len(found.factors_KC), -1)
    half = _scale(members, points) * torch.cat([found.factors_KC, later])[..., None, None]
    report = BandReport(
        level=LEVEL if calibration is None else calibration.level,
        members=terms.count,
        noise=terms.noise,
        seed=terms.seed,
        starts=found.starts,
        corpus=None if calibration is None else calibration.corpus,
        trajectories=0 if calibration is None else calibration.samples,
        tested=len(found.factors_KC),
        covered=found.covered,
    )
    kept, low, high = (part.float().numpy() for part in (mean, mean - half, mean + half))
    return Banded(kept, low, high, report)


@dataclass(frozen=True)
class _Factors:
    """What the scale is multiplied by (K, C), from which starts, and what these hold in turn."""

    factors_KC: Tensor
    starts: tuple[int, ...] = ()
    covered: float | None = None


def calibration_of(results: Path, fingerprint: str, corpus: str | None = None) -> Calibration:
    """What a results file says of the bands of a forecaster.

    Args:
        results: that `foundation evaluate` wrote.
        fingerprint: of the checkpoint, or of the ensemble.
        corpus: that is meant where there are several.

    Raises:
        UserError: no such file, no bands of this forecaster in it, or of several corpora.
    """
    file = read_results(results) if results.exists() else None
    if file is None:
        raise UserError(f"{results}: no results of foundation evaluate")
    found = {
        record.calibration.corpus: record.calibration
        for record in file.records
        if record.calibration is not None and record.model.fingerprint == fingerprint
    }
    if not found:
        raise UserError(
            f"{results}: no bands of this checkpoint with these members, noise and seed; evaluate "
            "it so on --tasks bands"
        )
    if corpus is None and len(found) == 1:
        return next(iter(found.values()))
    if corpus not in found:
        told = ", ".join(sorted(found))
        raise UserError(f"{results}: bands of {told}; name one by --like")
    return found[corpus]


def _by_corpus(calibration: Calibration, channels: int, steps: int) -> _Factors:
    factors_TC = torch.tensor(calibration.factors)
    if factors_TC.shape[1] != channels:
        raise UserError(
            f"bands were calibrated on {calibration.corpus} of {factors_TC.shape[1]} channels, the "
            f"file has {channels}; choose by --channels, or leave --bands out"
        )
    return _Factors(factors_TC[:steps])


def _by_known_frames(
    placed: Sequence[OnModelGrid],
    simulation: Simulation,
    steps: int,
    terms: MemberTerms,
    keep_detail: bool,
    points: Tensor,
) -> _Factors:
    context = placed[0].context_frames
    known = len(simulation.fields) - context
    if known < 1:
        raise UserError(
            f"{simulation.source}: has no frames beyond the {context} that the model begins with, "
            "so nothing says how wide bands must be; give a longer run, or --bands of a corpus"
        )
    tested = min(steps, known)
    starts = spread_evenly(known - tested + 1, MOST_STARTS)
    found = []
    for start in starts:
        members = _members(placed, start, tested, terms, keep_detail)
        true = torch.from_numpy(simulation.fields[start + context : start + context + tested])
        found.append(_scores(members, true, points))
    scores = torch.stack(found)
    return _Factors(_factors(scores), tuple(starts), _covered(scores))


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
