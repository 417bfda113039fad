"""Basis fields in, fields that solve an equation as well as their sum can out.

Axes: B samples, K boxes, N basis fields, J = N + 1 of them with a known one before (the initial
frame at all times, or zero), whose weight is one; D derivatives, T frames from the initial one
on, S cells, P points of frames and cells, flattened; M points at which a box is solved, R rows
of conditions.
Derivatives are taken once, of the basis fields in the whole domain, before it is split: faces
need no one-sided stencils, and a step of a solver costs products of (M x J) alone.
Source: PI-HC-MoE (ICLR 2024). Departures, named where they are set (`ConstraintConfig`): rows of
the equation count in units of the forecast's duration, weights of the initial frame and the ends
can be left to the boxes in which they lie, boxes can overlap, kinds of rows weigh alike. One has
no name: the sum of squares is a mean, so that a tolerance means the same whatever the points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import grad, jvp, vmap
from torch.nn import functional as F

from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from foundation.constraint.bank import BoxBank
from foundation.constraint.boxes import box_windows, drawn_points, scattered_windows
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.levenberg_marquardt import Curvature, Parts
from foundation.physics.evolution import Evolution, Steps, residual_of

_LEAST_LEVEL = 1e-3  # of an initial frame by which its rows are divided
_SEED = 20240215  # of scattered boxes, and of the points drawn at test


@dataclass(frozen=True)
class Constrained:
    """Fields under the equation.

    Attributes:
        fields: (B, T - 1, *S), the frames after the initial one.
        terms: per sample (B,): `residual` of the equation, `initial` and `boundary` errors of
            the rows (root mean squares), and of a hard constraint `unsolved`, the share of boxes
            that did not converge, and `iterations`, their mean.
    """

    fields: Tensor
    terms: dict[str, Tensor]


class _Problem(NamedTuple):
    """What is known of the samples of a batch, float64."""

    steps: Steps
    coefficients_BP: Tensor
    unit_B: Tensor  # of time, by which rates are multiplied


class ConstraintLayer(nn.Module):
    """Solves for the weights of basis fields; has no parameters."""

    step: Tensor

    def __init__(self, config: ConstraintConfig, shape: tuple[int, ...]) -> None:
        """Plan the boxes.

        Args:
            config: the equation and how it is imposed.
            shape: frames from the initial one on, and cells.

        Raises:
            UserError: boxes or overlap that the shape does not take.
        """
        super().__init__()
        self.config, self.shape = config, shape
        box_windows(shape, config.splits, config.overlap)  # refuses what does not fit
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.boxes: nn.Module = BoxBank(config.num_boxes)

    def reset(self, generator: torch.Generator) -> None:
        """Step 0; `generator` is unused."""
        with torch.no_grad():
            self.step.zero_()

    def forward(
        self, basis_BNTS: Tensor, first_BS: Tensor, origins: tuple[Origin, ...]
    ) -> Constrained:
        """Fields of a batch.

        Args:
            basis_BNTS: of the network, any floating type.
            first_BS: the initial frame, physical units.
            origins: time step, extent and parameters of every sample.

        Raises:
            UserError: origins are missing, or a parameter in them.
        """
        config, equation = self.config, self.config.evolution
        problem = self._problem(origins, first_BS)
        fields_BJTS = self._with_known(basis_BNTS.double(), first_BS.double())
        jets_BJDTS = equation.derivatives(fields_BJTS, problem.steps)
        edges_BRJ, points_R, num_initial = self._edges(fields_BJTS, first_BS.double(), problem)
        windows_KP = self.windows().flatten(1).to(first_BS.device)
        weights_BKJ, terms = self._weights(
            jets_BJDTS, edges_BRJ, points_R, windows_KP, num_initial, problem
        )
        blend_BJP = torch.einsum("bkj,kp->bjp", weights_BKJ, windows_KP)
        whole_BTS = (blend_BJP * fields_BJTS.flatten(2)).sum(1).view(-1, *self.shape)
        if config.judged == "boxes":
            jets_BDP = torch.einsum("bjp,bjdp->bdp", blend_BJP, jets_BJDTS.flatten(3))
            values_BDTS = jets_BDP.view(*jets_BDP.shape[:2], *self.shape)
        else:
            values_BDTS = equation.derivatives(whole_BTS[:, None], problem.steps)[:, 0]
        terms = {**self._residual_term(values_BDTS, problem), **terms}
        blend_BRJ = blend_BJP[:, :, points_R].mT
        misses_BR, learnt_R = (blend_BRJ * edges_BRJ).sum(2), self._learnt(points_R) > 0
        is_initial_R = torch.arange(len(points_R), device=points_R.device) < num_initial
        for name, kind_R in (("initial", is_initial_R), ("boundary", ~is_initial_R)):
            if kind_R.any():
                terms[name] = _root_mean_square(misses_BR[:, kind_R & learnt_R])
        return Constrained(whole_BTS[:, 1:], terms)

    def _problem(self, origins: tuple[Origin, ...], like: Tensor) -> _Problem:
        names = self.config.evolution.parameters
        if len(origins) != len(like):
            raise UserError(
                "the constraint reads time step, extent and parameters of every sample, and "
                f"{len(origins)} of {len(like)} have them; pass origins"
            )
        rows = []
        for origin in origins:
            own = origin.parameters or {}
            if missing := [name for name in names if name not in own]:
                raise UserError(
                    f"constraint {self.config.equation}: the sample's parameters lack "
                    f"{', '.join(missing)}; take a corpus whose card gives them"
                )
            row = [own[name] for name in names]
            x_0, x_1, y_0, y_1 = origin.extent[:4]
            steps = origin.dt_s, x_1 - x_0, y_1 - y_0
            if not (isfinite(sum(row)) and all(0 < step < inf for step in steps)):
                raise UserError(
                    f"constraint {self.config.equation}: time step and sides {steps}, "
                    f"{dict(zip(names, row, strict=True))}: wanted positive steps and sides, and "
                    "numbers"
                )
            rows.append(row)
        known = partial(torch.tensor, dtype=torch.float64, device=like.device)
        dt_B = known([origin.dt_s for origin in origins])
        sides = [(o.extent[1] - o.extent[0], o.extent[3] - o.extent[2]) for o in origins]
        lengths_BA = known(sides)
        unit_B = torch.ones_like(dt_B)
        if self.config.time_unit == "forecast":
            unit_B = dt_B * (self.shape[0] - 1)
        return _Problem(Steps(dt_B, lengths_BA), known(rows), unit_B)

    def _with_known(self, basis_BNTS: Tensor, first_BS: Tensor) -> Tensor:
        """The basis fields behind the known one, (B, J, T, *S)."""
        config, space = self.config, tuple(range(3, basis_BNTS.ndim))
        basis = (F.gelu(basis_BNTS) if config.activated else basis_BNTS) * config.scale
        if config.evolution.is_mean_free:
            basis = basis - basis.mean(space, keepdim=True)
        known_B1TS = first_BS[:, None, None].expand(-1, 1, self.shape[0], *self.shape[1:])
        if config.initial == "exact":
            grown_T = torch.linspace(0, 1, self.shape[0], dtype=torch.float64).to(basis)
            basis = basis * grown_T.view(-1, *(1,) * len(space))
        else:
            known_B1TS = torch.zeros_like(known_B1TS)
        return torch.cat([known_B1TS, basis], 1)

    def _edges(
        self, fields_BJTS: Tensor, first_BS: Tensor, problem: _Problem
    ) -> tuple[Tensor, Tensor, int]:
        """Rows of the initial frame and of the ends (B, R, J), zero where they hold; their points.

        Also how many of them are of the initial frame; they come first.
        """
        config, ends = self.config, self.config.evolution.ends
        rows, points = [], []
        cells = first_BS[0].numel()
        if config.initial == "rows":
            size_B = _root_mean_square(first_BS.flatten(1)).clamp(min=_LEAST_LEVEL)
            initial_BJR = fields_BJTS[:, :, 0].flatten(2) / size_B[:, None, None]
            rows.append(_less(initial_BJR, first_BS.flatten(1) / size_B[:, None]))
            points.append(torch.arange(cells, device=first_BS.device))
        if ends is not None:
            found = ends(fields_BJTS, problem.steps, problem.coefficients_BP)
            rows.append(_less(found.rows_BJR, found.levels_R))
            points.append(found.points_R)
        if not rows:
            nothing = fields_BJTS.new_zeros(len(first_BS), 0, fields_BJTS.shape[1])
            return nothing, torch.zeros(0, dtype=torch.int64, device=first_BS.device), 0
        num_initial = cells if config.initial == "rows" else 0
        return torch.cat(rows, 2).mT, torch.cat(points), num_initial

    def windows(self) -> Tensor:
        """Shares of all points, (K, T, *S)."""
        config = self.config
        if config.scattered:
            return scattered_windows(self.shape, config.num_boxes, _SEED)
        return box_windows(self.shape, config.splits, config.overlap)

    def _weights(
        self,
        jets_BJDTS: Tensor,
        edges_BRJ: Tensor,
        points_R: Tensor,
        windows_KP: Tensor,
        num_initial: int,
        problem: _Problem,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weights of all fields in every box (B, K, J), and how their solves ended."""
        config = self.config
        shape = len(jets_BJDTS), len(windows_KP), jets_BJDTS.shape[1] - 1
        one_BK1 = jets_BJDTS.new_ones(*shape[:2], 1)
        if config.enforced == "soft":
            return torch.cat([one_BK1, one_BK1.expand(shape)], 2), {}
        positions_KM, counts_KM = self.points(windows_KP)
        jets_BKMDJ = jets_BJDTS.flatten(3)[..., positions_KM].permute(0, 3, 4, 2, 1)
        if config.evolution.source is not None:
            source_BS = config.evolution.source(problem.coefficients_BP, self.shape[1:])
            source_BP = source_BS[:, None].expand(-1, *self.shape).flatten(1)
            source_BKM = source_BP[:, positions_KM]
        else:
            source_BKM = jets_BJDTS.new_zeros(shape[0], *positions_KM.shape)
        counts_KR = self._learnt(points_R).expand(shape[1], -1)
        if config.rows == "own":
            counts_KR = counts_KR * (windows_KP[:, points_R] > 0)
        per_box = self._scales(counts_KM, counts_KR, num_initial)
        own = (
            jets_BKMDJ,
            source_BKM,
            edges_BRJ[:, None].expand(-1, shape[1], -1, -1),
            *(scales.expand(shape[0], *scales.shape) for scales in per_box),
            problem.coefficients_BP[:, None].expand(-1, shape[1], -1),
            problem.unit_B[:, None].expand(-1, shape[1]),
        )
        start = 1.0 if config.initial == "rows" else 0.0
        start_BKN = jets_BJDTS.new_full(shape, start)
        rows = _Rows(config.evolution, config.ridge)
        ending = self.boxes(rows, start_BKN, own, config.solver)
        terms = {
            "unsolved": 1 - ending.converged_B.double().mean(1),
            "iterations": ending.iterations_B.double().mean(1),
        }
        return torch.cat([one_BK1, ending.weights_BN], 2), terms

    def points(self, windows_KP: Tensor) -> tuple[Tensor, Tensor]:
        """Where the boxes are solved: anew in every step of training, always there at test."""
        config = self.config
        usable_P = config.evolution.inner(self.shape).flatten()
        usable_P &= self._learnt(torch.arange(len(usable_P))).bool().cpu()
        budget = None if config.points is None else max(1, config.points // len(windows_KP))
        seed = int(self.step) if self.training else _SEED
        generator = torch.Generator().manual_seed(seed)
        drawn = drawn_points(windows_KP.cpu(), usable_P, budget, generator)
        positions_KM, counts_KM = (part.to(windows_KP.device) for part in drawn)
        return positions_KM, counts_KM

    def _scales(
        self, counts_KM: Tensor, counts_KR: Tensor, num_initial: int
    ) -> tuple[Tensor, Tensor]:
        """One over the root of the number of rows, of all or of each kind."""
        initial_KR, boundary_KR = counts_KR[:, :num_initial], counts_KR[:, num_initial:]
        kinds = [counts_KM, initial_KR, boundary_KR]
        numbers = [kind.sum(1, keepdim=True) for kind in kinds]
        if self.config.weighed == "rows":
            numbers = [torch.stack(numbers).sum(0)] * len(kinds)
        points, initial, boundary = (
            kind / number.clamp(min=1).sqrt() for kind, number in zip(kinds, numbers, strict=True)
        )
        return points, torch.cat([initial, boundary], 1)

    def _learnt(self, points: Tensor) -> Tensor:
        """1 for points of frames that count: in training those that are learnt, else all."""
        frames = points // (torch.Size(self.shape[1:]).numel())
        last = self.config.learnt_frames if self.training else None
        return (frames <= (self.shape[0] if last is None else last)).double()

    def _residual_term(self, values_BDTS: Tensor, problem: _Problem) -> dict[str, Tensor]:
        equation = self.config.evolution
        left_BTS = residual_of(equation, values_BDTS, problem.coefficients_BP, self.shape[1:])
        asked_P = equation.inner(self.shape).flatten().to(left_BTS.device)
        asked_P &= self._learnt(torch.arange(len(asked_P), device=asked_P.device)).bool()
        return {"residual": problem.unit_B * _root_mean_square(left_BTS.flatten(1)[:, asked_P])}


@dataclass(frozen=True)
class _Rows:
    """Residuals of one box: of the equation, of its conditions and of the ridge.

    Rows come with their scales, zero for those that do not count.
    """

    equation: Evolution
    ridge: float

    def __call__(
        self,
        weights_N: Tensor,
        jets_MDJ: Tensor,
        source_M: Tensor,
        edges_RJ: Tensor,
        scales_M: Tensor,
        scales_R: Tensor,
        coefficients_P: Tensor,
        unit: Tensor,
    ) -> Tensor:
        weights_J = _with_known(weights_N)
        values_DM = (jets_MDJ @ weights_J).mT
        left_M = self.equation.residual(values_DM, coefficients_P.unbind(0)) - source_M
        rows = [unit * left_M * scales_M, (edges_RJ @ weights_J) * scales_R]
        return torch.cat([*rows, self.ridge * scales_M.max() * weights_N])

    def parts(
        self,
        curvature: Curvature,
        weights_N: Tensor,
        jets_MDJ: Tensor,
        source_M: Tensor,
        edges_RJ: Tensor,
        scales_M: Tensor,
        scales_R: Tensor,
        coefficients_P: Tensor,
        unit: Tensor,
    ) -> Parts:
        """Second derivatives, gradient and objective, by the few derivatives of a point.

        The same as `torch.func` finds, several times as fast: the equation is differentiated by
        D numbers in a point instead of N weights.
        """
        rows = self(
            weights_N, jets_MDJ, source_M, edges_RJ, scales_M, scales_R, coefficients_P, unit
        )
        ridge = self.ridge * scales_M.max()
        points_M, ends_R = rows[: len(scales_M)], rows[len(scales_M) : -len(weights_N)]
        units_M, basis_MDN = unit * scales_M, jets_MDJ[:, :, 1:]
        values_DM = (jets_MDJ @ _with_known(weights_N)).mT

        def at_points(values_DM: Tensor) -> Tensor:
            left_M = self.equation.residual(values_DM, coefficients_P.unbind(0))
            return left_M * units_M

        slopes_DM = grad(lambda values: at_points(values).sum())(values_DM)
        jacobian_MN = torch.einsum("dm,mdn->mn", slopes_DM, basis_MDN)
        ends_RN = edges_RJ[:, 1:] * scales_R[:, None]
        matrix_NN = jacobian_MN.mT @ jacobian_MN + ends_RN.mT @ ends_RN
        matrix_NN = matrix_NN + ridge**2 * torch.eye(
            len(weights_N), dtype=rows.dtype, device=rows.device
        )
        if curvature == "exact":
            curvatures = _curvatures(at_points, values_DM)
            bent_MDN = torch.einsum("dem,men->mdn", curvatures * points_M, basis_MDN)
            matrix_NN = matrix_NN + torch.einsum("mdn,mdk->nk", basis_MDN, bent_MDN)
        gradient_N = points_M @ jacobian_MN + ends_R @ ends_RN
        gradient_N = gradient_N + rows[-len(weights_N) :] * ridge
        return matrix_NN, (gradient_N, rows.square().sum() / 2)


def _curvatures(rows: Callable[[Tensor], Tensor], values_DM: Tensor) -> Tensor:
    """Second derivatives of every row by the values in its point, (D, D, M)."""
    gradient = grad(lambda values: rows(values).sum())
    directions = torch.eye(len(values_DM), dtype=values_DM.dtype, device=values_DM.device)
    along = directions[:, :, None].expand(-1, -1, values_DM.shape[1])
    found: Tensor = vmap(lambda direction: jvp(gradient, (values_DM,), (direction,))[1])(along)
    return found


def _with_known(weights_N: Tensor) -> Tensor:
    """Weights (J,) with that of the known field, which is one, before them."""
    return torch.cat([torch.ones_like(weights_N[:1]), weights_N])


def _less(rows_BJR: Tensor, levels: Tensor) -> Tensor:
    """Rows with their levels taken off the known field, whose weight is one."""
    known = rows_BJR[:, :1] - levels.expand(len(rows_BJR), -1)[:, None]
    return torch.cat([known, rows_BJR[:, 1:]], 1)


def _root_mean_square(values: Tensor) -> Tensor:
    """Over the last axis; its slope at zero is zero, not infinite."""
    squared = values.square().mean(-1)
    tiny = torch.finfo(values.dtype).tiny
    return squared.clamp(min=tiny).sqrt() * (squared > 0)
