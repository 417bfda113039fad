"""What the boxes of one sample cost: a constraint and a grid in, counts out.

Axes: K boxes, M points of a box, R rows of conditions, D derivatives, N weights, J = N + 1.
Of arithmetic, products are counted, exactly: a step evaluates residual, gradient and second
derivatives once, some 2 M D N^2 FLOPs of them for the whole Hessian. Left out are factors of
(N x N), transforms by which derivatives are taken, and what is done number by number. How often
boxes step is theirs to say: counted is the most that they may.
"""

from dataclasses import dataclass
from functools import cache
from math import prod

import torch

from foundation.constraint.boxes import at_faces
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.layer import ConstraintLayer
from foundation.physics.evolution import Evolution, Steps

# Times that the backward pass takes the fields of a box's points times a vector, and its rows of
# conditions. Torch takes three of the former where it can fold axes together.
_BACKWARD_POINTS, _BACKWARD_ROWS = 5, 3
_AROUND = 3  # blocks' worth of operations before and after the steps, and backward
# Numbers kept besides derivatives and boxes: of the fields, and of what they are put together to.
_KEPT_OF_FIELDS, _KEPT_OF_POINTS = 3, 10
_WIDTH = 2  # float32 numbers in a float64 one


@dataclass(frozen=True)
class SolveWork:
    """Of one sample.

    Attributes:
        boxes: K.
        points: M, the most that a box is solved at.
        evaluation: FLOPs of one evaluation of one box.
        step: FLOPs of a step besides.
        backward: FLOPs of one box's implicit gradient.
        blending: FLOPs by which fields and derivatives are put together, forward.
        blending_backward: FLOPs of their gradients.
        sent: float64 numbers that a box is told of, by which it can be solved anywhere.
        answered: float64 numbers that it tells.
        kept: numbers (float32) kept for the backward pass.
        anchor: the solve of the whole domain before, if faces are anchored to it.
    """

    boxes: int
    points: int
    evaluation: int
    step: int
    backward: int
    blending: int
    blending_backward: int
    sent: int
    answered: int
    kept: int
    anchor: "SolveWork | None" = None

    def forward(self, iterations: float) -> int:
        """FLOPs of all boxes, each in so many steps."""
        return self.blending + sum(solve._solved(iterations) for solve in self._solves)

    def _solved(self, iterations: float) -> int:
        own = (iterations + 1) * self.evaluation + iterations * self.step
        return round(self.boxes * own)

    @property
    def _solves(self) -> tuple["SolveWork", ...]:
        """One after the other."""
        return (self,) if self.anchor is None else (self.anchor, self)

    def depth(self, iterations: int) -> int:
        """Blocks of a network that launch as many operations, forward and backward.

        A step launches 190 to 370 operations whatever its size, a block about 300.
        """
        return len(self._solves) * iterations + _AROUND if self.boxes else 1

    @property
    def back(self) -> int:
        """FLOPs of the backward pass, whatever the steps were."""
        return self.blending_backward + sum(each.boxes * each.backward for each in self._solves)


@cache
def solve_work(config: ConstraintConfig, shape: tuple[int, ...]) -> SolveWork:
    """Count.

    Args:
        config: the equation and how it is imposed.
        shape: frames from the initial one on, and cells.
    """
    layer = ConstraintLayer(config, shape).train()
    equation, weights, total = config.evolution, config.basis, prod(shape)
    fields, derivatives = weights + 1, _num_derivatives(equation)
    whole = 2 * fields * derivatives * total if config.judged == "boxes" else 0
    kept = _WIDTH * total * (_KEPT_OF_FIELDS * fields + _KEPT_OF_POINTS)
    if config.enforced == "soft":
        return SolveWork(0, 0, 0, 0, 0, whole, whole, 0, 0, kept)
    windows_KP = layer.windows().flatten(1)
    boxes, points = layer.points(windows_KP)[0].shape
    rows = prod(shape[1:]) if config.initial == "rows" else 0
    rows += 2 * (shape[0] - 1) if equation.ends is not None else 0
    anchor, levels = None, 0
    if config.faces == "anchored":
        whole_domain = {"enforced": "one", "boxes": (), "overlap": 0, "faces": "free"}
        anchor = solve_work(config.model_copy(update=whole_domain), shape)
        faces = int(at_faces(shape, config.splits, config.overlap).any(0).sum())
        rows, levels = rows + faces, 2 * fields * faces
    shares = 2 * fields * boxes * total if boxes > 1 else 0
    moved = points * derivatives * fields
    slopes = 2 * points * (2 * derivatives * fields + derivatives * weights + weights**2 + weights)
    slopes += 2 * rows * (fields + weights**2 + weights)
    hessian = slopes + 2 * points * derivatives * weights * (derivatives + weights)
    known = len(equation.parameters) + 1  # and the unit of time
    kept += _WIDTH * (fields * derivatives * total + boxes * (moved + rows * fields))
    if anchor is not None:
        kept += _WIDTH * anchor.boxes * (anchor.points * derivatives * fields + rows * fields)
    return SolveWork(
        boxes=boxes,
        points=points,
        evaluation=hessian if config.solver.curvature == "exact" else slopes,
        step=2 * (weights**2 + weights),
        backward=hessian
        + 2 * (_BACKWARD_POINTS * moved + _BACKWARD_ROWS * rows * fields)
        + 4 * weights**2,
        blending=whole + shares + levels,
        blending_backward=2 * whole + shares + 2 * levels,
        sent=weights + moved + 2 * points + rows * (fields + 1) + known,
        answered=weights + 3,
        kept=kept,
        anchor=anchor,
    )


@cache
def _num_derivatives(equation: Evolution) -> int:
    some = torch.zeros(1, 1, 3, *(4,) * equation.dimensions, dtype=torch.float64)
    one = torch.ones(1, equation.dimensions, dtype=torch.float64)
    return equation.derivatives(some, Steps(one[:, 0], one)).shape[2]
