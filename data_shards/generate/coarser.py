"""The same trajectory by fewer cells: a card and a number of cells in, a cheap run out.

A solver has a knob that a network lacks: a coarser grid costs less and errs more. The flow is that
of the corpus, as far as the coarser grid can hold its initial state.
"""

from time import process_time
from typing import Any

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.generate.checks import SimulationError
from data_shards.generate.simulation import simulate
from data_shards.trajectory import Trajectory

SOLVER_GRID = "solver_resolution"
START_GRID = "start_resolution"  # that the initial state is drawn on, of which a coarser run keeps
# what its cells hold; other solvers have initial states that are functions of the place.
_DRAWN_ON_A_GRID = ("reaction_diffusion", "vorticity")


def own_cells(card: CorpusCard, resolution: int) -> int:
    """Cells along x on which the corpus itself is simulated: those of its output or more."""
    return max(resolution, int(card.generator_options.get(SOLVER_GRID, resolution)))


def coarse_run(
    card: CorpusCard, cells: int, *, split: Split, index: int, seed: int, resolution: int
) -> tuple[Trajectory, float] | None:
    """Simulate a trajectory on so many cells along x.

    Args:
        card: with the options of its solver.
        cells: of the solver; as many as the corpus itself has give the corpus's own run.
        split: of the corpus.
        index: of the trajectory.
        seed: of the corpus.
        resolution: of the corpus.

    Returns:
        The trajectory, on the solver's cells where these are fewer than the corpus has, and its
        processor seconds of one core; None where the run breaks down.

    Raises:
        UserError: the corpus has no generator.
    """
    if card.generator is None:
        raise UserError(
            f"{card.name}: has no generator, beside whose cost a forecast's could stand"
        )
    coarser = card
    if cells < own_cells(card, resolution):
        options = {**card.generator_options, **_coarser(card, cells, resolution)}
        coarser = card.model_copy(update={"generator_options": options})
    shown = min(cells, resolution)
    before = process_time()
    try:
        trajectory = simulate(
            coarser, split=split, index=index, seed=seed, resolution=shown, checked=False
        )
    except SimulationError:
        return None
    except UserError:
        if coarser is card:
            raise
        return None  # a solver may refuse so few cells
    return trajectory, process_time() - before


def _coarser(card: CorpusCard, cells: int, resolution: int) -> dict[str, Any]:
    """Options of a run on fewer cells, the same flow as far as these hold its start."""
    options: dict[str, Any] = {}
    if card.generator in _DRAWN_ON_A_GRID:
        options[START_GRID] = own_cells(card, resolution)
    if card.generator != "reaction_diffusion":  # whose solver's grid is the output's
        options[SOLVER_GRID] = cells
    return options
