"""Cost and accuracy of a generator: a card and a profile in, seconds and errors out.

A trajectory is simulated as the profile says and once more on a finer grid, with
a smaller step or tolerance, as its solver's `REFINED` declares. The error is the
relative L2 distance of the two on the output grid.
"""

from collections.abc import Mapping
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard, ProfileName
from data_shards.config import Config
from data_shards.errors import UserError, unknown_name
from data_shards.generate import (
    burgers,
    compressible,
    diffusion_sorption,
    elliptic,
    incompressible,
    open_channel,
    particle,
    porous,
    reaction_diffusion,
    shallow_water,
    smoke,
    spin_chain,
    vorticity,
    wave,
)
from data_shards.generate.refined import Refinement
from data_shards.generate.simulation import simulate
from data_shards.trajectory import Parameter, Trajectory

REFINEMENTS: Mapping[str, Refinement] = {
    "vorticity": vorticity.REFINED,
    "compressible": compressible.REFINED,
    "shallow_water": shallow_water.REFINED,
    "reaction_diffusion": reaction_diffusion.REFINED,
    "incompressible": incompressible.REFINED,
    "smoke": smoke.REFINED,
    "wave": wave.REFINED,
    "diffusion_sorption": diffusion_sorption.REFINED,
    "elliptic": elliptic.REFINED,
    "open_channel": open_channel.REFINED,
    "porous": porous.REFINED,
    "spin_chain": spin_chain.REFINED,
    "particle": particle.REFINED,
    "burgers": burgers.REFINED,
}


class AccuracyRecord(Config):
    """What one trajectory costs and how far it is from a refined run.

    Errors are per channel: the L2 norm of the difference, over space (fluid cells of both
    runs), over that of the refined run; of all frames together, and of the last one.
    """

    corpus: str
    version: int  # of the card
    profile: ProfileName
    generator: str
    resolution: int  # of the output
    split: str = "test"
    index: int
    seed: int
    parameters: dict[str, Parameter]
    options: dict[str, Any]  # that bound the error, of the run that is judged
    refined: dict[str, Any]  # the same of the finer run
    seconds: float  # of one core
    refined_seconds: float  # of one core, with the compilation of the kernels where not cached
    error: dict[str, float]
    error_last: dict[str, float]


def measure(
    card: CorpusCard, profile: ProfileName, *, index: int = 0, seed: int = 0
) -> AccuracyRecord:
    """Simulate a test trajectory twice and compare.

    Seconds are processor time: linear algebra with several threads counts every one of them.

    Args:
        card: which corpus; as loaded, without a profile merged in.
        profile: the fidelity to judge.
        index: of the trajectory.
        seed: of the corpus.

    Raises:
        UserError: the corpus has no generator, no such profile, or its solver declares no
            refined run.
    """
    if profile not in card.profiles:
        raise unknown_name("profile", profile, card.profiles)
    refinement = REFINEMENTS.get(card.generator or "")
    if card.generator is None or refinement is None:
        raise UserError(
            f"{card.name}: generator {card.generator!r} declares no refined run; wanted one of "
            f"{', '.join(REFINEMENTS)}"
        )
    resolution = card.profiles[profile].resolution
    judged = card.at(profile)
    bounds = refinement.judged(judged.generator_options, f"card {card.name}")
    finer = refinement.finer(bounds, resolution)
    changed = judged.model_copy(update={"generator_options": judged.generator_options | finer})
    # The refined run goes first, so that the timed one finds its kernels compiled.
    reference, refined_seconds = _timed(changed, index, seed, resolution)
    trajectory, seconds = _timed(judged, index, seed, resolution)
    return AccuracyRecord(
        corpus=card.name,
        version=card.version,
        profile=profile,
        generator=card.generator,
        resolution=resolution,
        index=index,
        seed=seed,
        parameters=trajectory.parameters,
        options=bounds,
        refined=finer,
        seconds=seconds,
        refined_seconds=refined_seconds,
        error=relative_l2(trajectory, reference, card, slice(None)),
        error_last=relative_l2(trajectory, reference, card, slice(-1, None)),
    )


def relative_l2(
    trajectory: Trajectory, reference: Trajectory, card: CorpusCard, frames: slice
) -> dict[str, float]:
    """Relative L2 distance per channel, over the given frames and the fluid cells of both."""
    fluid = trajectory.full_mask * reference.full_mask
    difference = _norms(trajectory.fields.astype(np.float64) - reference.fields, fluid, frames)
    size = _norms(reference.fields.astype(np.float64), fluid, frames)
    errors = difference / np.maximum(size, np.finfo(np.float64).tiny)
    return dict(zip(card.channel_names, errors.tolist(), strict=True))


def _norms(
    fields: NDArray[np.float64], fluid: NDArray[np.float32], frames: slice
) -> NDArray[np.float64]:
    axes = (0, *range(2, fields.ndim))
    return np.asarray(np.sqrt(((fields[frames] * fluid) ** 2).sum(axis=axes)))


def _timed(card: CorpusCard, index: int, seed: int, resolution: int) -> tuple[Trajectory, float]:
    before = process_time()
    trajectory = simulate(card, split="test", index=index, seed=seed, resolution=resolution)
    return trajectory, process_time() - before
