"""From (card, split, index, seed, resolution) to one checked trajectory.

Pure: the random stream is seeded by these arguments alone, so a trajectory can
be made again anywhere, in any order and by any number of workers.
"""

from collections.abc import Callable
from importlib import import_module
from zlib import crc32

import numpy as np

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError, unknown_name
from data_shards.generate.checks import SimulationError, check_trajectory
from data_shards.generate.solution import Solution
from data_shards.trajectory import Trajectory

# Modules of this room, each with a `generate`. One is imported when it is asked for: what steps in
# three dimensions loads torch, which takes seconds in every worker.
GENERATORS = (
    "vorticity",
    "compressible",
    "shallow_water",
    "reaction_diffusion",
    "incompressible",
    "smoke",
    "wave",
    "diffusion_sorption",
    "elliptic",
    "open_channel",
    "porous",
    "spin_chain",
    "particle",
    "burgers",
)
SPLIT_NUMBERS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
COARSEST = 8  # cells per side; below it no field of these corpora is recognisable


def simulate(
    card: CorpusCard,
    *,
    split: Split,
    index: int,
    seed: int,
    resolution: int,
    checked: bool = True,
) -> Trajectory:
    """Simulate one trajectory of a corpus.

    Args:
        card: which corpus, with the options of its solver.
        split: train, validation or test; each has random streams of its own.
        index: number within the split, from 0.
        seed: of the whole corpus, not negative.
        resolution: output cells along x; the card's grid says how many along y.
        checked: whether it must be fit for the corpus.

    Returns:
        The trajectory, checked against the card.

    Raises:
        UserError: unknown generator or split, or a number out of range.
        SimulationError: the result is not fit for the corpus.
    """
    if card.generator is None:
        raise UserError(
            f"{card.name} has no generator; convert its published files with "
            f"`foundation shards convert {card.name} --raw PATH --out DIR`"
        )
    if card.generator not in GENERATORS:
        raise unknown_name("generator", card.generator, GENERATORS)
    if split not in SPLIT_NUMBERS:
        raise unknown_name("split", split, SPLIT_NUMBERS)
    if resolution < COARSEST or seed < 0 or index < 0:
        raise UserError(
            f"{card.name}: resolution={resolution}, seed={seed}, index={index}; wanted a "
            f"resolution of at least {COARSEST} and a seed and index of at least 0"
        )
    generate = _generator(card.generator)
    # Rungs of one ladder share their random numbers: only the shifted parameter differs.
    family = card.shift.ladder if card.shift else card.name
    rng = random_stream(family, split, index, seed)
    try:
        with np.errstate(all="ignore"):  # what overflows is refused below, by name
            solution = generate(card, rng, index=index, resolution=resolution)
            trajectory = _labelled(solution, card, index, seed)
    except ArithmeticError as error:
        raise SimulationError(f"{card.name} trajectory {index}: {error}") from error
    if checked:
        check_trajectory(trajectory, card, resolution)
    return trajectory


def _generator(name: str) -> Callable[..., Solution]:
    generate: Callable[..., Solution] = import_module(f"data_shards.generate.{name}").generate
    return generate


def random_stream(family: str, split: Split, index: int, seed: int) -> np.random.Generator:
    """The random numbers of one trajectory, independent of those of all others."""
    return np.random.default_rng([seed, crc32(family.encode()), SPLIT_NUMBERS[split], index])


def _labelled(solution: Solution, card: CorpusCard, index: int, seed: int) -> Trajectory:
    dt_s = solution.dt_s or card.dt_s
    extent = solution.extent or card.extent
    boundary = solution.boundary or card.boundary
    if dt_s is None or extent is None or boundary is None:
        raise UserError(
            f"card {card.name}: dt_s={dt_s}, extent={extent}, boundary={boundary}; "
            f"generator {card.generator!r} leaves these to the card, fill them in"
        )
    return Trajectory(
        fields=solution.fields.astype(np.float32),
        corpus=card.name,
        index=index,
        seed=seed,
        dt_s=dt_s,
        extent=extent,
        boundary=dict(boundary),
        parameters=solution.parameters,
        mask=None if solution.mask is None else solution.mask.astype(np.float32),
    )
