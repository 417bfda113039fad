# mypy: ignore-errors
# Its packages are in an environment of its own, where nothing is checked.
"""Simulations by solvers that others wrote: exponax (spectral) and py-pde (finite differences).

    python -m venv others && others/bin/pip install exponax==0.2.0 py-pde==0.59.0
    others/bin/python evaluation/studies/strangers/others.py FOLDER

One file each, as a user of these packages would save it: fields (T, y, x) by name, and times.
That of py-pde ends at walls, which nothing in `simulations.py` does.
"""

import sys
from pathlib import Path

import exponax
import jax
import numpy as np
import pde

CELLS, FRAMES = 64, 50


def main() -> None:
    """Write all files into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (kolmogorov_flow, korteweg_de_vries, klein_gordon_walls):
        path = folder / f"{make.__name__.replace('_', ' ')}.npz"
        np.savez(path, **make())
        print(path)


def kolmogorov_flow() -> dict[str, np.ndarray]:
    """Vorticity of a plane that a sine wave of four periods stirs, with drag; turbulent."""
    step = exponax.stepper.KolmogorovFlowVorticity(2, 2 * np.pi, CELLS, 0.02, diffusivity=5e-3)
    start = exponax.ic.RandomTruncatedFourierSeries(2, cutoff=5, max_one=True)
    return spectral(step, 3 * start(CELLS, key=jax.random.PRNGKey(0)), every=5, before=300)


def korteweg_de_vries() -> dict[str, np.ndarray]:
    """Long waves with dispersion, both components of a velocity."""
    step = exponax.stepper.KortewegDeVries(2, 20.0, CELLS, 0.01, convection_scale=-1.0)
    start = exponax.ic.RandomTruncatedFourierSeries(2, cutoff=3, max_one=True)
    keys = jax.random.split(jax.random.PRNGKey(1))
    fields = np.concatenate([start(CELLS, key=key) for key in keys])
    return spectral(step, fields, every=10, before=0)


def spectral(step, fields, *, every: int, before: int) -> dict[str, np.ndarray]:
    """Frames of a solver of exponax; its axes are (channels, x, y)."""
    frames = exponax.repeat(step, before)(fields) if before else fields
    rolled = exponax.rollout(exponax.repeat(step, every), FRAMES - 1, include_init=True)(frames)
    found = np.asarray(rolled, np.float32).transpose(1, 0, 3, 2)
    times = every * step.dt * np.arange(FRAMES)
    return {f"u{channel}": each for channel, each in enumerate(found)} | {"t": times}


def klein_gordon_walls() -> dict[str, np.ndarray]:
    """Waves with a mass, held at the walls; the field and its rate."""
    grid = pde.CartesianGrid([[0, 20], [0, 20]], CELLS)
    field = pde.ScalarField.from_expression(
        grid, "exp(-((x-7)**2+(y-8)**2)/4) - 0.7*exp(-((x-13)**2+(y-12)**2)/6)"
    )
    equation = pde.PDE({"u": "v", "v": "laplace(u) - 0.5*u"}, bc={"value": 0})
    start = pde.FieldCollection([field, 0 * field], labels=["u", "v"])
    return differences(equation, start, frame=0.2, dt=0.01)


def differences(equation, start, *, frame: float, dt: float) -> dict[str, np.ndarray]:
    """Frames of a solver of py-pde; its axes are (x, y)."""
    storage = pde.MemoryStorage()
    end = frame * (FRAMES - 1)
    equation.solve(start, end, dt=dt, tracker=storage.tracker(frame), solver="runge-kutta")
    data = np.asarray(storage.data, np.float32)
    fields = {f.label: data[:, place].transpose(0, 2, 1) for place, f in enumerate(start)}
    return fields | {"t": np.asarray(storage.times)}


if __name__ == "__main__":
    main()
