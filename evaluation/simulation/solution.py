"""An answer to a steady problem of a scientist's own: a model and a file in, a field out.

    from data_shards.simulation_file.problem import read_problem
    from evaluation.simulation.solution import solve
    from foundation import Surrogate

    model = Surrogate.from_pretrained("runs/poisson/model")
    answer = solve(model, read_problem(Path("plate.npz"), model.config.slots))
    print(answer.trust.text)

Nobody knows the true answer, but the equation tells how far this one is from it: by the residual
A u - f and, as the coefficients are constant, by the error that has this residual.
Axes: C asked channels, H rows and W columns of the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from data_shards.catalogue import load_card
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.simulation_file.problem import Problem
from data_shards.simulation_file.regrid import regrid
from data_shards.simulation_file.simulation import Simulation
from foundation import Surrogate
from foundation.physics.residuals import (
    SteadyOperator,
    relative_residual,
    residual,
    root_mean_square,
    smallest_symbol,
)
from foundation.physics.residuals import solve as solved

Array = NDArray[np.float32]

SOURCE = "source"
_TENSOR, _VELOCITY, _OMEGA, _SCALAR = ("k11", "k22", "k12"), ("v1", "v2"), "omega", "diffusion"
_ODD_MEAN = 1e-3  # of a source, what rounding and regridding leave at most
_RESONANT = 1e-12  # of omega, its distance from a resonance that rounding alone leaves
_KNOWN = {SOURCE, *_TENSOR, *_VELOCITY, _OMEGA, _SCALAR}


class Trust(Config):
    """What the equation says of an answer; all relative, 2-norms over the domain.

    `residual` is |A u - f| / |f|: 1 for u = 0, 0 for the solution. `error` is that of u against
    the solution, which follows from the residual. `amplification` is the most by which A^-1
    enlarges a residual that is as large as the source, against the solution: where it is large,
    next to a resonance, a small residual promises little.
    """

    residual: float | None = None
    error: float | None = None
    amplification: float | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """For people."""
        if self.residual is None or self.error is None or self.amplification is None:
            return f"nothing is known of the error: {self.note}"
        worth = "worse than no answer" if self.error >= 1 else f"off by {self.error:.1%}"
        return (
            f"residual: {self.residual:.3g} of the source (0 is exact, 1 is an answer of zeros)\n"
            f"error that has this residual: {self.error:.3g} of the solution: the answer is "
            f"{worth}\na residual of this equation may be enlarged "
            f"{self.amplification:.3g} times at most" + (f"\n{self.note}" if self.note else "")
        )


@dataclass(frozen=True)
class Answer:
    """What a model says of a problem.

    Attributes:
        solution: the asked fields as the single frame of a simulation, on the file's grid.
        residual: A u - f of the first of them (H, W), or None if it is not known.
        trust: what the equation says of it.
    """

    solution: Simulation
    residual: Array | None
    trust: Trust


def solve(model: Surrogate, problem: Problem) -> Answer:
    """Answer a steady problem.

    Args:
        model: with named channels, in evaluation mode.
        problem: of any grid; it is laid on the model's by its waves, and the answer back.

    Raises:
        UserError: the model does not solve steady problems, or not with these names.
    """
    planes = problem.planes
    grid = model.config.layout.grid
    on_grid = {name: regrid(field, grid, planes.periodic) for name, field in problem.fields.items()}
    given = {name: torch.from_numpy(field)[None] for name, field in on_grid.items()}
    answer_CHW = model.solve(given, problem.parameters)[0].cpu()
    names = asked_names(model, len(answer_CHW))
    fields = regrid(answer_CHW.numpy(), planes.grid, planes.periodic)
    solution = replace(
        planes,
        fields=fields[None],
        channels=names,
        layout=replace(planes.layout, arrays=names, attributes=({},) * len(names)),
    )
    operator, note = operator_of(problem)
    if operator is None:
        return Answer(solution, None, Trust(note=note))
    u_1HW, f_1HW = answer_CHW[:1].double(), given[SOURCE].double()
    left_1HW = residual(operator, u_1HW, f_1HW)
    return Answer(
        solution,
        regrid(left_1HW[0].float().numpy(), planes.grid, planes.periodic),
        _trust(operator, u_1HW, f_1HW),
    )


def operator_of(problem: Problem) -> tuple[SteadyOperator | None, str]:
    """The operator that a problem's names describe, or why there is none."""
    names = {*problem.fields, *problem.parameters}
    if unknown := sorted(names - _KNOWN):
        return None, f"no equation is known for {', '.join(unknown)}"
    if varying := sorted({*problem.fields} - {SOURCE}):
        return None, f"{', '.join(varying)} vary in space; residuals are of constant coefficients"
    value = problem.parameters
    scalar = value.get(_SCALAR, 0.0)
    tensor = [value.get("k11", scalar), value.get("k22", scalar), value.get("k12", 0.0)]
    if tensor[0] <= 0 or tensor[1] <= 0 or tensor[0] * tensor[1] <= tensor[2] ** 2:
        return None, f"the diffusion tensor k11, k22, k12 = {tensor} is not positive"
    return (
        SteadyOperator(
            tensor_B3=_row(tensor),
            velocity_B2=_row([value.get(name, 0.0) for name in _VELOCITY]),
            omega_B=_row([value.get(_OMEGA, 0.0)])[0],
            determines_mean=bool(value.get(_OMEGA, 0.0)),
        ),
        "",
    )


def asked_names(model: Surrogate, count: int) -> tuple[str, ...]:
    """Names of the asked channels, as the corpora of the training call them."""
    for corpus in model.about.get("corpora", ()):
        try:
            names = load_card(corpus).asked_names
        except UserError:
            continue
        if len(names) == count:
            return names
    return ("solution",) if count == 1 else tuple(f"solution_{i}" for i in range(count))


def _trust(operator: SteadyOperator, u_1HW: torch.Tensor, f_1HW: torch.Tensor) -> Trust:
    # Constant coefficients: the equation itself is solved by one transform, and what no wave of it
    # determines is left out (the mean) or is an error (waves that the grid sees but half of).
    mean, note = torch.zeros(()), ""
    if not operator.determines_mean:
        size = float(f_1HW.mean() / root_mean_square(f_1HW).clamp_min(1e-300))
        if abs(size) > _ODD_MEAN:
            note = (
                f"the source's mean is {size:.1%} of it: on a periodic plane this equation has a "
                "solution only without, and it is left out here"
            )
        mean, f_1HW = u_1HW.mean(), f_1HW - f_1HW.mean()
    truth_1HW = solved(operator, f_1HW)
    truth = root_mean_square(truth_1HW)
    least = smallest_symbol(operator, u_1HW.shape[1:])
    if float(least) <= _RESONANT * float(operator.omega_B.abs().max()):
        return Trust(note="the equation has no solution: omega is at a resonance")
    values = {
        "residual": relative_residual(operator, u_1HW, f_1HW),
        "error": root_mean_square(u_1HW - mean - truth_1HW) / truth,
        "amplification": root_mean_square(f_1HW) / least / truth,
    }
    found: Mapping[str, float] = {name: float(value[0]) for name, value in values.items()}
    if not all(np.isfinite(value) for value in found.values()):
        note = "the source is zero, or nothing of it determines a solution"
        return Trust(note=note)
    return Trust(**found, note=note)


def _row(values: list[float]) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)
