"""Which program made a published file: trajectories in, the generator's named options that fit.

Programs of two corpora's authors changed about the time when their files were published, and
nothing in a file says which one made it; its fields do.

- Compressible flow: frame 0 goes into our solver under each operator of viscosity, and frame 1
  says which it was. On files of PDEBench's two programs the right one is within 1 %, the others
  are 10 to 16 % off.
- Vorticity: the mean square of the initial fields `a` is twice as large by the code of 2020-21 as
  by today's port; that of one field varies by 40 %, so a few dozen of them tell the two apart.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard
from data_shards.read.raw import RawCorpus, published
from data_shards.trajectory import Trajectory

TRAJECTORIES = 2  # of a gas that are put into the solver
FIELDS = 256  # initial fields that are looked at
CLEARLY = 0.5  # of the next best one's error
FAR = 4.0  # standard errors
FASTEST = 20.0  # mean Mach number; no gas of PDEBench's is faster


def told_by_fields(card: CorpusCard, corpus: RawCorpus) -> tuple[str, ...]:
    """What the fields of a file say of the program that made it, a line each; often nothing.

    Args:
        card: of the corpus.
        corpus: any split of its files, open.
    """
    told = _TOLD.get((card.generator or "", published(card).reader))
    return told(card, corpus) if told and len(corpus) else ()


def _of_gas(card: CorpusCard, corpus: RawCorpus) -> tuple[str, ...]:
    from data_shards.generate.compressible import CompressibleOptions, Stress

    options = CompressibleOptions.read(card.generator_options, f"card {card.name}")
    found = [corpus.read(number) for number in range(min(TRAJECTORIES, len(corpus)))]
    gases = [one for one in found if _is_gas(one)]
    if len(gases) < len(found):
        return ()  # the writer says what is wrong with them
    errors = {stress: _error(gases, stress, options) for stress in get_args(Stress)}
    best, second = sorted(errors, key=errors.__getitem__)[:2]
    figures = ", ".join(f"{stress} {error:.2%}" for stress, error in errors.items())
    told = (
        f"frame 0 of {len(gases)} trajectories into our solver, velocity of frame 1 off: {figures}"
    )
    if not errors[best] < CLEARLY * errors[second]:
        return (f"{told}; no operator of viscosity fits better than the others",)
    return (f"{told}; made with {_as_on_card('stress', best, options.stress)}",)


def _is_gas(trajectory: Trajectory) -> bool:
    vx, vy, density, pressure = trajectory.fields[0].astype(np.float64)
    if not (np.isfinite(trajectory.fields[:2]).all() and density.min() > 0 < pressure.min()):
        return False
    return bool(np.hypot(vx, vy).mean() < FASTEST * np.sqrt(pressure / density).mean())


def _error(gases: Sequence[Trajectory], stress: Any, options: Any) -> float:
    """Relative L2 distance of the velocities of frame 1, over all gases."""
    from data_shards.generate import compressible

    missed, size = 0.0, 0.0
    for gas in gases:
        left, right, bottom, top = gas.extent[:4]
        first = compressible.to_conserved(gas.fields[0].astype(np.float64), compressible.GAMMA)
        frames = compressible.solve(
            first,
            lengths=(right - left, top - bottom),
            num_frames=2,
            frame_interval=gas.dt_s,
            eta=float(gas.parameters.get("eta", options.eta)),
            zeta=float(gas.parameters.get("zeta", options.zeta)),
            stress=stress,
        )
        ours = compressible.to_primitive(frames[1], compressible.GAMMA)[:2]
        missed += float(((ours - gas.fields[1, :2]) ** 2).sum())
        size += float((gas.fields[1, :2].astype(np.float64) ** 2).sum())
    return sqrt(missed / max(size, 1e-300))


def _of_vorticity(card: CorpusCard, corpus: RawCorpus) -> tuple[str, ...]:
    from data_shards.generate.vorticity import INITIAL_RMS, VorticityOptions

    options = VorticityOptions.read(card.generator_options, f"card {card.name}")
    fields: NDArray[np.floating] | None = getattr(corpus, "initial_fields", lambda _: None)(FIELDS)
    if fields is None or options.kernel_length is not None or not np.isfinite(fields).all():
        return ()
    squares = np.square(fields.astype(np.float64)).mean(axis=(1, 2))
    spread = 0.42 / len(squares) ** 0.5  # of the mean over so many fields, relative
    away = {name: abs(squares.mean() / rms**2 - 1) / spread for name, rms in INITIAL_RMS.items()}
    figures = ", ".join(
        f"{away[name]:.1f} standard errors from {rms} ({name})" for name, rms in INITIAL_RMS.items()
    )
    told = f"rms of {len(squares)} initial fields {squares.mean() ** 0.5:.3f}: {figures}"
    near = [name for name, distance in away.items() if distance < FAR]
    if len(near) == 1:
        return (f"{told}; drawn with {_as_on_card('noise', near[0], options.noise)}",)
    return (f"{told}; " + ("too few fields to tell" if near else "drawn in neither way"),)


def _as_on_card(option: str, found: str, on_card: str) -> str:
    if found == on_card:
        return f"{option}: {found}, as the card generates"
    return (
        f"{option}: {found}, where the card generates with {on_card}; to generate more like them "
        f"set generator_options.{option} on a card of your own"
    )


_TOLD: dict[tuple[str, str], Callable[[CorpusCard, RawCorpus], tuple[str, ...]]] = {
    ("compressible", "pdebench_cns"): _of_gas,
    ("vorticity", "fno_matlab"): _of_vorticity,
}
