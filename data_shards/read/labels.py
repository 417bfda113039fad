"""What a raw file says about a trajectory besides its fields, checked against the card.

In: coordinates and attributes of a file. Out: time step, extent (cell edges)
and PDE parameters. A file that contradicts its card is most likely that of
another corpus, so a contradiction is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.trajectory import Parameter

# Coordinates are float32, parameters were rounded when they were written into a name.
RELATIVE_SLACK = 1e-3


def time_step(
    times: NDArray[Any],
    card: CorpusCard,
    where: Path,
    *,
    jitter: float = RELATIVE_SLACK,
    slack: float = RELATIVE_SLACK,
) -> float:
    """Time between frames.

    Args:
        times: time coordinate; entries beyond the card's frames are left out (PDEBench's
            compressible files have one more time than frames).
        card: its dt_s, where it has one, is the exact value of what the file rounds.
        where: the file, for the message.
        jitter: of single steps, relative.
        slack: of the mean step against the card's, relative.

    Raises:
        UserError: too few times, unequal steps, or other steps than the card's.
    """
    times = np.asarray(times, np.float64).ravel()
    if times.size < card.frames:
        raise UserError(
            f"{where}: {times.size} times for the {card.frames} frames of {card.name}; fetch the "
            "file again, or choose the card that it belongs to"
        )
    steps = np.diff(times[: card.frames])
    dt_s = float(steps.mean())
    if not dt_s > 0 or np.abs(steps - dt_s).max() > jitter * dt_s:
        raise UserError(
            f"{where}: times run from {times[0]:g} to {times[card.frames - 1]:g} in steps of "
            f"{steps.min():g} to {steps.max():g}; wanted equal steps forwards"
        )
    if card.dt_s is None:
        return dt_s
    if abs(dt_s - card.dt_s) > slack * card.dt_s:
        raise UserError(
            f"{where}: frames are {dt_s:g} apart, those of {card.name} {card.dt_s:g}; choose the "
            "card that the file belongs to"
        )
    return card.dt_s


def extent(centres: Mapping[str, NDArray[Any]], card: CorpusCard, where: Path) -> tuple[float, ...]:
    """Edges of the domain, from the centres of its cells.

    Args:
        centres: cell centres along "x", "y"[, "z"], in this order.
        card: its extent, where it has one, is the exact value of what the file rounds.
        where: the file, for the message.

    Returns:
        (x_min, x_max, y_min, y_max[, z_min, z_max]).

    Raises:
        UserError: cells of unequal size, or another domain than the card's.
    """
    edges: list[float] = []
    for axis, (name, values) in enumerate(centres.items()):
        low, high, cell = _edges(values, name, where)
        if card.extent is not None:
            wanted_low, wanted_high = card.extent[2 * axis : 2 * axis + 2]
            # Half a cell of doubt: whether coordinates are centres or nodes is a convention.
            if max(abs(low - wanted_low), abs(high - wanted_high)) > 0.75 * cell:
                raise UserError(
                    f"{where}: {name} runs from {low:g} to {high:g}, that of {card.name} from "
                    f"{wanted_low:g} to {wanted_high:g}; choose the card that the file belongs to"
                )
            low, high = wanted_low, wanted_high
        edges += [low, high]
    return tuple(edges)


def _edges(values: NDArray[Any], name: str, where: Path) -> tuple[float, float, float]:
    """Lowest and highest edge and the size of a cell."""
    values = np.asarray(values, np.float64).ravel()
    cells = np.diff(values)
    cell = float(cells.mean()) if cells.size else float("nan")
    # float32 coordinates of a fine grid are off by a visible part of a cell.
    slack = 0.02 * abs(cell) + 4 * np.finfo(np.float32).eps * float(np.abs(values).max(initial=0))
    if not cell > 0 or np.abs(cells - cell).max() > slack:
        raise UserError(
            f"{where}: coordinate {name} has {values.size} entries of unequal or no distance; "
            "wanted the centres of equal cells, in rising order"
        )
    return float(values[0] - cell / 2), float(values[-1] + cell / 2), cell


def parameters(card: CorpusCard, found: Mapping[str, Any], where: Path) -> dict[str, Parameter]:
    """PDE parameters of a trajectory: those that the card fixes, and those of the file.

    Args:
        card: only parameters on it are taken over; one whose range is a point is known.
        found: values of the file under the card's names.
        where: the file, for the message.

    Raises:
        UserError: a value is not a number, or outside the card's range.
    """
    values: dict[str, Parameter] = {}
    for name, allowed in card.parameters.items():
        if name not in found:
            if allowed.low == allowed.high:
                values[name] = allowed.low
            continue
        value = _number(found[name], name, where)
        slack = RELATIVE_SLACK * max(abs(allowed.low), abs(allowed.high))
        if not allowed.low - slack <= value <= allowed.high + slack:
            raise UserError(
                f"{where}: {name} is {value:g}, that of {card.name} lies in [{allowed.low:g}, "
                f"{allowed.high:g}]; choose the card that the file belongs to"
            )
        values[name] = allowed.low if allowed.low == allowed.high else value
    return values


def _number(value: Any, name: str, where: Path) -> float:
    try:
        return float(np.asarray(value).item())
    except (TypeError, ValueError):
        raise UserError(f"{where}: {name} is {value!r}; wanted a number") from None
