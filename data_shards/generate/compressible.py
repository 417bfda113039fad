"""Compressible viscous flow on the periodic square: random smooth data in, frames out.

Axes: H rows (y), W columns (x), cell averages; primitive variables are ordered
(Vx, Vy, density, pressure), conserved ones (x-momentum, y-momentum, mass, energy).
Source: equations and initial data of PDEBench (arXiv:2210.07182); MUSCL with the
monotonised central limiter, HLLC (Toro, chapter 10), midpoint in time.
Viscosity is one of three operators, by name (`Stress`): PDEBench's own, the one of its program's
first two months, and the full tensor of a Newtonian gas, which PDEBench's equation names and its
programs do not have.
Departures from PDEBench: viscosity acts in the same step as everything else instead of after it,
a start whose density or pressure would nearly vanish is drawn again, and the grid may be coarser
than 128 cells.
"""

from math import pi, sqrt
from typing import Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average, num_steps, refinement
from data_shards.kernel import fast_kernel, kernel

GAMMA = 5.0 / 3.0
PRESSURE_FLOOR = 1e-4
MAX_WAVE = 4
PROBE_CELLS = 128  # amplitudes are normalised on one grid, so that no output grid changes them
WINDOW_WIDTH = 0.01
LOWEST_SHARE = 0.05  # of the mean, for density and pressure at the start
PUBLISHED_WINDOW = 0.45  # width, and highest lower edge

# full: rho (eta (grad v + grad v^T) + (zeta - 2 eta / 3) div(v) I).
# pdebench: without the cross derivatives, in PDEBench's program since 2022-08-16; the flux along n
#     is rho (zeta + 4 eta / 3) dv_n/dn of the normal and rho eta dv_t/dn of the other momentum.
# pdebench_early: in the program before; a force, rho (eta lap(v_n) + visc (d_nn v_n + D v_t / 2))
#     with visc = zeta + eta / 3 and D the second difference along the diagonal, where d_nt / 2
#     was meant; it does no work on the total energy.
Stress = Literal["full", "pdebench", "pdebench_early"]
_FULL, _UNCROSSED, _DIAGONAL = 0, 1, 2
_STRESSES: dict[Stress, int] = {
    "full": _FULL, "pdebench": _UNCROSSED, "pdebench_early": _DIAGONAL,
}  # fmt: skip


class CompressibleOptions(Config):
    """Equation and accuracy of one corpus."""

    mach: PositiveFloat
    eta: NonNegativeFloat
    zeta: NonNegativeFloat
    stress: Stress = "full"
    # Corners of a window: drawn one by one, or as PDEBench's program does, which draws switch and
    # both edges along x from one number, both along y from another: all windows are as wide.
    windows: Literal["independent", "published"] = "independent"
    solver_resolution: PositiveInt = 64
    courant: PositiveFloat = 0.3


REFINED = Refinement(CompressibleOptions, {"solver_resolution": 2})  # the step follows the grid


class _Waves:
    """sum over i, j in [-4, 4], ij != 0, of |k|^(-1/2) sin(k.x + phase)."""

    def __init__(self, phases: Array) -> None:
        self.phases = phases

    def on_grid(self, cells: int) -> Array:
        """Point values at the centres of cells x cells."""
        x = (np.arange(cells) + 0.5) / cells
        wave = np.arange(-MAX_WAVE, MAX_WAVE + 1)
        length = 2 * pi * np.hypot(wave[:, None], wave[None, :])
        amplitude = np.where(np.outer(wave, wave) != 0, np.maximum(length, 1.0) ** -0.5, 0.0)
        basis = np.exp(2j * pi * np.outer(wave, x))  # (waves, cells)
        coefficients = amplitude * np.exp(1j * self.phases)  # rows: waves along y
        return np.asarray((basis.T @ coefficients @ basis).imag)


def _window(edges: Array, cells: int) -> Array:
    """1 inside of a rectangle and 0 outside, (N, N); edges: low and high corner (x, y)."""
    x = (np.arange(cells) + 0.5) / cells
    (low_x, low_y), (high_x, high_y) = edges
    along_x, along_y = _plateau(x, low_x, high_x), _plateau(x, low_y, high_y)
    return np.asarray(along_y[:, None] * along_x[None, :])


def _plateau(x: Array, low: float, high: float) -> Array:
    rise, fall = np.tanh((x - low) / WINDOW_WIDTH), np.tanh((x - high) / WINDOW_WIDTH)
    return np.asarray(0.5 * (rise - fall))


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory at t = 0, 0.05, ...; the data are the same functions at every resolution."""
    options = CompressibleOptions.read(card.generator_options, f"card {card.name}")
    factor = refinement(resolution, options.solver_resolution)
    start, drawn = random_state(rng, resolution * factor, options.mach, options.windows)
    frames = solve(
        start,
        lengths=(1.0, 1.0),
        num_frames=card.frames,
        frame_interval=card.dt_s or 0.05,
        eta=options.eta,
        zeta=options.zeta,
        stress=options.stress,
        courant=options.courant,
    )
    fields = to_primitive(block_average(frames, factor), GAMMA)
    fixed = {"mach": options.mach, "eta": options.eta, "zeta": options.zeta, "gamma": GAMMA}
    return Solution(fields, {**fixed, **drawn})


def random_state(
    rng: np.random.Generator,
    cells: int,
    mach: float,
    windows: Literal["independent", "published"] = "independent",
) -> tuple[Array, dict[str, float]]:
    """Conserved variables (4, N, N) at the start, and the drawn parameters.

    Means of speed and contrasts hold over the whole torus, before a window, if there is one,
    sets everything outside of it to rest.
    """
    density_mean, temperature_mean = rng.uniform(0.1, 10.0, 2)
    switch = rng.random()
    windowed = bool(switch < 0.5)
    edges = np.asarray(rng.uniform([[0.1, 0.1], [0.55, 0.55]], [[0.45, 0.45], [0.9, 0.9]]))
    if windows == "published":
        low = np.array([0.1 + (PUBLISHED_WINDOW - 0.1) * switch, edges[0, 1]])
        edges = np.stack([low, low + PUBLISHED_WINDOW])
    window = _window(edges, cells) if windowed else 1.0
    span = 2 * MAX_WAVE + 1
    shapes = [_Waves(phase) for phase in rng.uniform(0, 2 * pi, (4, span, span))]
    coarse = np.stack([shape.on_grid(PROBE_CELLS) for shape in shapes])
    fine = np.stack([shape.on_grid(cells) for shape in shapes])
    speed = mach * sqrt(GAMMA * temperature_mean) / np.hypot(coarse[0], coarse[1]).mean()
    means = density_mean, density_mean * temperature_mean
    contrasts, positive = [], []
    for mean, probe, values in zip(means, coarse[2:], fine[2:], strict=True):
        contrast = _contrast(rng, probe)
        contrasts.append(contrast)
        positive.append(mean * (1 + window * contrast * values / np.abs(probe).mean()))
    primitive = np.stack([window * fine[0] * speed, window * fine[1] * speed, *positive])
    drawn = {
        "density_mean": float(density_mean),
        "temperature_mean": float(temperature_mean),
        "density_contrast": contrasts[0],
        "pressure_contrast": contrasts[1],
        "windowed": float(windowed),
    }
    return to_conserved(primitive, GAMMA), drawn


def _contrast(rng: np.random.Generator, probe: Array) -> float:
    """U(0.01, 0.2), drawn again where the deepest trough would leave too little."""
    trough = -probe.min() / np.abs(probe).mean()
    while True:
        contrast = float(rng.uniform(0.01, 0.2))
        if contrast * trough <= 1 - LOWEST_SHARE:
            return contrast


def to_conserved(primitive: Array, gamma: float) -> Array:
    """(..., 4, H, W) primitive to conserved."""
    vx, vy, density, pressure = np.moveaxis(primitive, -3, 0)
    energy = pressure / (gamma - 1) + 0.5 * density * (vx**2 + vy**2)
    return np.stack([density * vx, density * vy, density, energy], axis=-3)


def to_primitive(conserved: Array, gamma: float) -> Array:
    """(..., 4, H, W) conserved to primitive, pressure at least the floor."""
    mx, my, density, energy = np.moveaxis(conserved, -3, 0)
    pressure = (gamma - 1) * (energy - 0.5 * (mx**2 + my**2) / density)
    pressure = np.maximum(pressure, PRESSURE_FLOOR)
    return np.stack([mx / density, my / density, density, pressure], axis=-3)


def solve(
    start: Array,
    *,
    lengths: tuple[float, float],
    num_frames: int,
    frame_interval: float,
    eta: float = 0.0,
    zeta: float = 0.0,
    stress: Stress = "full",
    courant: float = 0.3,
    gamma: float = GAMMA,
) -> Array:
    """Frames of the conserved variables at t = 0, frame_interval, ...

    Args:
        start: conserved variables (4, H, W).
        lengths: of the periodic domain along x and y.
        num_frames: T, the start included.
        frame_interval: time between frames.
        eta, zeta: shear and bulk viscosity over density.
        stress: what viscosity does.
        courant: bound of (speed + sound) * dt / dx, in either direction.
        gamma: adiabatic index.

    Returns:
        (T, 4, H, W).
    """
    _, height, width = start.shape
    dx, dy = lengths[0] / width, lengths[1] / height
    frames = np.empty((num_frames, *start.shape))
    frames[0] = start
    state = start.copy()
    for frame in range(1, num_frames):
        remaining = frame_interval
        while remaining > 0:
            stable = _stable_dt(state, dx, dy, eta, zeta, courant, gamma)
            steps = num_steps(remaining, stable)
            dt = remaining / steps
            state = _midpoint(state, dt, dx, dy, eta, zeta, gamma, _STRESSES[stress])
            remaining = remaining - dt if steps > 1 else 0.0
        frames[frame] = state
    return frames


def _midpoint(
    state: Array,
    dt: float,
    dx: float,
    dy: float,
    eta: float,
    zeta: float,
    gamma: float,
    stress: int,
) -> Array:
    half = state + 0.5 * dt * _rate(state, dx, dy, eta, zeta, gamma, stress)
    moved: Array = state + dt * _rate(half, dx, dy, eta, zeta, gamma, stress)
    return moved


@kernel
def _stable_dt(
    state: Array, dx: float, dy: float, eta: float, zeta: float, courant: float, gamma: float
) -> float:
    fastest = 0.0
    for j in range(state.shape[1]):
        for i in range(state.shape[2]):
            density = state[2, j, i]
            vx, vy = state[0, j, i] / density, state[1, j, i] / density
            pressure = (gamma - 1) * (state[3, j, i] - 0.5 * density * (vx * vx + vy * vy))
            sound = np.sqrt(gamma * max(pressure, PRESSURE_FLOOR) / density)
            fastest = max(fastest, (abs(vx) + sound) / dx, (abs(vy) + sound) / dy)
    diffusion = 2 * (eta * 4 / 3 + zeta) * (1 / dx**2 + 1 / dy**2)
    return min(courant / fastest, 0.8 / max(diffusion, 1e-300))


@fast_kernel
def _slope(below: float, above: float) -> float:
    """Monotonised central limiter of two one-sided differences."""
    size = min(min(2 * abs(below), 2 * abs(above)), 0.5 * abs(below + above))
    return float(size * 0.5 * (np.copysign(1.0, below) + np.copysign(1.0, above)))  # no branch


@fast_kernel
def _hllc(
    un: float, ut: float, d: float, p: float, wn: float, wt: float, e: float, q: float, gamma: float
) -> tuple[float, float, float, float]:
    """Flux of (normal momentum, tangential momentum, mass, energy) between two states.

    Left (un, ut, d, p) and right (wn, wt, e, q): normal and tangential velocity,
    density, pressure.
    """
    sound_l, sound_r = np.sqrt(gamma * p / d), np.sqrt(gamma * q / e)
    slowest = min(un - sound_l, wn - sound_r)
    fastest = max(un + sound_l, wn + sound_r)
    flow_l, flow_r = d * (slowest - un), e * (fastest - wn)
    middle = (q - p + flow_l * un - flow_r * wn) / (flow_l - flow_r)
    if middle >= 0:
        normal, tangential, density, pressure, wave, flow = un, ut, d, p, slowest, flow_l
    else:
        normal, tangential, density, pressure, wave, flow = wn, wt, e, q, fastest, flow_r
    energy = pressure / (gamma - 1) + 0.5 * density * (normal**2 + tangential**2)
    f_normal = density * normal * normal + pressure
    f_tangential = density * normal * tangential
    f_mass = density * normal
    f_energy = (energy + pressure) * normal
    if slowest < 0 < fastest:
        star = flow / (wave - middle)
        star_energy = star * (energy / density + (middle - normal) * (middle + pressure / flow))
        f_normal += wave * (star * middle - density * normal)
        f_tangential += wave * (star * tangential - density * tangential)
        f_mass += wave * (star - density)
        f_energy += wave * (star_energy - energy)
    return f_normal, f_tangential, f_mass, f_energy


@kernel
def _rate(
    state: Array, dx: float, dy: float, eta: float, zeta: float, gamma: float, stress: int
) -> Array:
    """Minus the divergence of all fluxes, (4, H, W); every face flux is used twice."""
    _, height, width = state.shape
    # Two periodic ghost cells per side; variables last, so that a cell is one cache line.
    w = np.empty((height + 4, width + 4, 4))
    for row in range(height + 4):
        j = (row - 2 + height) % height
        for column in range(width + 4):
            i = (column - 2 + width) % width
            density = state[2, j, i]
            vx, vy = state[0, j, i] / density, state[1, j, i] / density
            pressure = (gamma - 1) * (state[3, j, i] - 0.5 * density * (vx * vx + vy * vy))
            cell = w[row, column]
            cell[0], cell[1], cell[2] = vx, vy, density
            cell[3] = max(pressure, PRESSURE_FLOOR)
    rate = np.zeros(state.shape)
    if stress == _FULL:
        _add_fluxes(w, rate, dx, dy, eta, zeta, gamma, 0)
        _add_fluxes(w, rate, dy, dx, eta, zeta, gamma, 1)
    else:
        _add_fluxes(w, rate, dx, dy, 0.0, 0.0, gamma, 0)
        _add_fluxes(w, rate, dy, dx, 0.0, 0.0, gamma, 1)
    if stress == _UNCROSSED:
        _add_uncrossed_stress(w, rate, dx, eta, zeta, 0)
        _add_uncrossed_stress(w, rate, dy, eta, zeta, 1)
    elif stress == _DIAGONAL:
        _add_diagonal_force(w, rate, dx, dy, eta, zeta + eta / 3)
    return rate


@fast_kernel
def _add_uncrossed_stress(
    w: Array, rate: Array, dn: float, eta: float, zeta: float, n: int
) -> None:
    """Viscous fluxes along axis n of PDEBench's program, each face's by itself.

    Both ghost cells of an axis repeat cells of the other side, so that every face of a cell is
    there; the flux through a face is computed for either of its cells.
    """
    _, height, width = rate.shape
    t = 1 - n
    normal, tangential = (zeta + 4 * eta / 3) / (dn * dn), eta / (dn * dn)
    for j in range(2, height + 2):
        for i in range(2, width + 2):
            here = w[j, i]
            for side in (-1, 1):
                there = w[j + side * n, i + side * t]
                density = 0.5 * (here[2] + there[2])
                pull_n = density * normal * (there[n] - here[n])
                pull_t = density * tangential * (there[t] - here[t])
                rate[n, j - 2, i - 2] += pull_n
                rate[t, j - 2, i - 2] += pull_t
                work = pull_n * (there[n] + here[n]) + pull_t * (there[t] + here[t])
                rate[3, j - 2, i - 2] += 0.5 * work


@fast_kernel
def _add_diagonal_force(
    w: Array, rate: Array, dx: float, dy: float, eta: float, visc: float
) -> None:
    """Viscosity of PDEBench's program before 2022-08-16, on both momenta."""
    _, height, width = rate.shape
    for j in range(2, height + 2):
        for i in range(2, width + 2):
            density = w[j, i, 2]
            for n in range(2):
                along_x = (w[j, i + 1, n] - 2 * w[j, i, n] + w[j, i - 1, n]) / (dx * dx)
                along_y = (w[j + 1, i, n] - 2 * w[j, i, n] + w[j - 1, i, n]) / (dy * dy)
                o = 1 - n
                diagonal = w[j + 1, i + 1, o] - 2 * w[j, i, o] + w[j - 1, i - 1, o]
                normal = along_x if n == 0 else along_y
                force = eta * (along_x + along_y) + visc * (normal + diagonal / (2 * dx * dy))
                rate[n, j - 2, i - 2] += density * force


@fast_kernel
def _add_fluxes(
    w: Array, rate: Array, dn: float, dt: float, eta: float, zeta: float, gamma: float, n: int
) -> None:
    """Fluxes through the faces between a cell and its next one along axis n (0: x, 1: y).

    dn and dt are the cell sizes along the normal and the tangential direction; the face
    before the first cell and the one after the last are the same, computed twice alike.
    """
    _, height, width = rate.shape
    t = 1 - n
    a, b = n, t  # steps along rows and columns to the next cell
    for j in range(2 - a, height + 2):
        for i in range(2 - b, width + 2):
            jr, ir = j + a, i + b
            un, wn = _edges(w, j, i, a, b, n)
            ut, wt = _edges(w, j, i, a, b, t)
            d, e = _edges(w, j, i, a, b, 2)
            p, q = _edges(w, j, i, a, b, 3)
            fn, ft, fm, fe = _hllc(un, ut, d, p, wn, wt, e, q, gamma)
            density = 0.5 * (w[j, i, 2] + w[jr, ir, 2])
            n_n, t_n = (w[jr, ir, n] - w[j, i, n]) / dn, (w[jr, ir, t] - w[j, i, t]) / dn
            n_t = (_across(w, j, i, a, b, n) + _across(w, jr, ir, a, b, n)) / (4 * dt)
            t_t = (_across(w, j, i, a, b, t) + _across(w, jr, ir, a, b, t)) / (4 * dt)
            stress_n = density * (2 * eta * n_n + (zeta - 2 * eta / 3) * (n_n + t_t))
            stress_t = density * eta * (t_n + n_t)
            fe -= 0.5 * stress_n * (w[j, i, n] + w[jr, ir, n])
            fe -= 0.5 * stress_t * (w[j, i, t] + w[jr, ir, t])
            fn, ft, fm, fe = (fn - stress_n) / dn, (ft - stress_t) / dn, fm / dn, fe / dn
            if i >= 2 and j >= 2:
                rate[n, j - 2, i - 2] -= fn
                rate[t, j - 2, i - 2] -= ft
                rate[2, j - 2, i - 2] -= fm
                rate[3, j - 2, i - 2] -= fe
            if jr < height + 2 and ir < width + 2:
                rate[n, jr - 2, ir - 2] += fn
                rate[t, jr - 2, ir - 2] += ft
                rate[2, jr - 2, ir - 2] += fm
                rate[3, jr - 2, ir - 2] += fe


@fast_kernel
def _edges(w: Array, j: int, i: int, a: int, b: int, c: int) -> tuple[float, float]:
    """Variable c on both sides of the face between cell (j, i) and its next one."""
    here, there = w[j, i, c], w[j + a, i + b, c]
    step = there - here
    left = here + 0.5 * _slope(here - w[j - a, i - b, c], step)
    right = there - 0.5 * _slope(step, w[j + 2 * a, i + 2 * b, c] - there)
    return left, right


@fast_kernel
def _across(w: Array, j: int, i: int, a: int, b: int, c: int) -> float:
    """Difference of variable c between the two neighbours in the tangential direction."""
    return float(w[j + b, i + a, c] - w[j - b, i - a, c])
