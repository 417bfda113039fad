"""Refusal of simulations that must not enter a corpus.

In: a trajectory and its card. Out: nothing, or a `SimulationError` that names
corpus, index and the law that was violated.
"""

import numpy as np

from data_shards.card import CorpusCard
from data_shards.trajectory import Trajectory

POSITIVE_CHANNELS = frozenset({"density", "pressure", "h"})
FROZEN_RELATIVE_CHANGE = 1e-3  # a forecast of less is no task


class SimulationError(RuntimeError):
    """A simulation gave something that its corpus card does not allow."""


def check_trajectory(trajectory: Trajectory, card: CorpusCard, resolution: int) -> None:
    """Refuse what violates the card.

    Args:
        trajectory: the simulation.
        card: the card of its corpus.
        resolution: cells along x that were asked for.

    Raises:
        SimulationError: wrong shape, non-finite or non-positive values, parameters outside
            the card's ranges, or fields that do not change over the rollout.
    """
    for law in (_shape, _finite, _positive, _parameters, _solid_at_rest, _moving):
        fault = law(trajectory, card, resolution)
        if fault:
            raise SimulationError(f"{card.name} trajectory {trajectory.index}: {fault}")


def _shape(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    wanted = (card.frames, len(card.channels), *card.grid(resolution))
    if trajectory.fields.shape == wanted:
        return None
    return f"fields are {trajectory.fields.shape}, the card and the resolution ask for {wanted}"


def _finite(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    bad = ~np.isfinite(trajectory.fields)
    if not bad.any():
        return None
    frame, channel = np.argwhere(bad)[0][:2]
    return f"{card.channel_names[channel]} is not finite from frame {frame} on: the solver diverged"


def _positive(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    for channel, name in enumerate(card.channel_names):
        lowest = trajectory.fields[:, channel].min()
        if name in POSITIVE_CHANNELS and lowest <= 0:
            return f"{name} falls to {lowest:.3g}, it must stay positive"
    return None


def _parameters(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    for name, value in trajectory.parameters.items():
        if isinstance(value, str):
            continue
        allowed = card.parameters.get(name)
        if allowed is None:
            return f"parameter {name}={value:.6g} is not on the card"
        slack = 1e-9 * max(abs(allowed.low), abs(allowed.high))  # round-off of derived values
        if not allowed.low - slack <= value <= allowed.high + slack:
            return f"{name}={value:.6g} is outside the card's [{allowed.low:g}, {allowed.high:g}]"
    return None


def _solid_at_rest(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    if trajectory.mask is None:
        return None
    speed = float(np.abs(trajectory.fields * (1 - trajectory.mask)).max())
    return f"flow of {speed:.3g} inside the solid" if speed > 0 else None


def _moving(trajectory: Trajectory, card: CorpusCard, resolution: int) -> str | None:
    if card.rollout_frames == 0:  # steady: there is nothing to forecast
        return None
    before, after = (
        trajectory.fields[t].astype(np.float64) for t in (card.context_frames - 1, card.frames - 1)
    )
    # By channel: beside a large pressure, velocities that decay would not be seen.
    axes = tuple(range(1, before.ndim))
    moved = np.sqrt(((after - before) ** 2).sum(axis=axes))
    change = float((moved / np.maximum(np.sqrt((before**2).sum(axis=axes)), 1e-300)).max())
    if change > FROZEN_RELATIVE_CHANGE:
        return None
    return (
        f"frozen: no channel changes by more than {change:.1e} of itself from the last context "
        "frame to the last frame"
    )
