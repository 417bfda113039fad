"""Basis fields in, fields that solve an equation as well as their sum can out.

Axes: B samples, K boxes, N basis fields, J = N + 1 of them with a known one before (the initial
frame at all times, or zero), whose weight is one; D derivatives, T frames from the initial one
on, S cells, P points of frames and cells, flattened; M points at which a box is solved, R rows
of conditions.
Derivatives are taken once, of the basis fields in the whole domain, before it is split: faces
need no one-sided stencils, and a step of a solver costs products of (M x J) alone.
Source: PI-HC-MoE (ICLR 2024). Departures, named where they are set (`ConstraintConfig`): rows of
the equation count in units of the forecast's duration, weights of the initial frame and the ends
can be left to the boxes in which they lie, boxes can overlap or be anchored to a solve of the
whole domain where they meet, kinds of rows weigh alike. One has
no name: the sum of squares is a mean, so that a tolerance means the same whatever the points.
"""

from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from foundation.constraint.bank import BoxBank
from foundation.constraint.boxes import at_faces, box_windows, drawn_points, scattered_windows
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.rows import BoxRows
from foundation.physics.evolution import Steps, residual_of

_LEAST_LEVEL = 1e-3  # of an initial frame by which its rows are divided
_KINDS = "initial", "boundary", "face"
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


class _Conditions(NamedTuple):
    """Rows that are zero where the initial frame, the ends and the faces of boxes hold."""

    rows_BRJ: Tensor
    points_R: Tensor
    kinds_R: Tensor  # places in `_KINDS`
    held_KR: Tensor  # ones where a row is a box's, else zeros


class _Problem(NamedTuple):
    """What is known of the samples of a batch, float64."""

    first_BS: Tensor  # the initial frame
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
        windows_KP = self.windows().flatten(1).to(first_BS.device)
        edges = self._edges(fields_BJTS, problem, windows_KP)
        tied = edges
        if config.faces == "anchored":
            tied = self._anchored(jets_BJDTS, fields_BJTS, edges, problem)
        weights_BKJ, terms = self._weights(jets_BJDTS, tied, windows_KP, problem, self.boxes)
        blend_BJP = torch.einsum("bkj,kp->bjp", weights_BKJ, windows_KP)
        whole_BTS = (blend_BJP * fields_BJTS.flatten(2)).sum(1).view(-1, *self.shape)
        if config.judged == "boxes":
            jets_BDP = torch.einsum("bjp,bjdp->bdp", blend_BJP, jets_BJDTS.flatten(3))
            values_BDTS = jets_BDP.view(*jets_BDP.shape[:2], *self.shape)
        else:
            values_BDTS = equation.derivatives(whole_BTS[:, None], problem.steps)[:, 0]
        terms = {**self._residual_term(values_BDTS, problem), **terms}
        blend_BRJ = blend_BJP[:, :, edges.points_R].mT
        misses_BR = (blend_BRJ * edges.rows_BRJ).sum(2)
        learnt_R = self._learnt(edges.points_R) > 0
        for kind, name in enumerate(_KINDS):
            if (is_kind_R := edges.kinds_R == kind).any():
                terms[name] = _root_mean_square(misses_BR[:, is_kind_R & learnt_R])
        return Constrained(whole_BTS[:, 1:], terms)

    def _problem(self, origins: tuple[Origin, ...], first_BS: Tensor) -> _Problem:
        names = self.config.evolution.parameters
        if len(origins) != len(first_BS):
            raise UserError(
                "the constraint reads time step, extent and parameters of every sample, and "
                f"{len(origins)} of {len(first_BS)} have them; pass origins"
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
        known = partial(torch.tensor, dtype=torch.float64, device=first_BS.device)
        dt_B = known([origin.dt_s for origin in origins])
        sides = [(o.extent[1] - o.extent[0], o.extent[3] - o.extent[2]) for o in origins]
        lengths_BA = known(sides)
        unit_B = torch.ones_like(dt_B)
        if self.config.time_unit == "forecast":
            unit_B = dt_B * (self.shape[0] - 1)
        return _Problem(first_BS.double(), Steps(dt_B, lengths_BA), known(rows), unit_B)

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

    def _edges(self, fields_BJTS: Tensor, problem: _Problem, windows_KP: Tensor) -> _Conditions:
        """Rows of the initial frame and of the ends."""
        config, ends, first_BS = self.config, self.config.evolution.ends, problem.first_BS
        rows, points = [], []
        cells = first_BS[0].numel()
        kinds: list[int] = []
        if config.initial == "rows":
            size_B = _level(first_BS)
            initial_BJR = fields_BJTS[:, :, 0].flatten(2) / size_B[:, None, None]
            rows.append(_less(initial_BJR, first_BS.flatten(1) / size_B[:, None]))
            points.append(torch.arange(cells, device=first_BS.device))
            kinds += [0] * cells
        if ends is not None:
            found = ends(fields_BJTS, problem.steps, problem.coefficients_BP)
            rows.append(_less(found.rows_BJR, found.levels_R))
            points.append(found.points_R)
            kinds += [1] * len(found.points_R)
        if not rows:
            rows.append(fields_BJTS.new_zeros(*fields_BJTS.shape[:2], 0))
            points.append(torch.zeros(0, dtype=torch.int64, device=first_BS.device))
        points_R = torch.cat(points)
        held_KR = self._learnt(points_R).expand(len(windows_KP), -1)
        if config.rows == "own":
            held_KR = held_KR * (windows_KP[:, points_R] > 0)
        return _Conditions(torch.cat(rows, 2).mT, points_R, points_R.new_tensor(kinds), held_KR)

    def _anchored(
        self, jets_BJDTS: Tensor, fields_BJTS: Tensor, edges: _Conditions, problem: _Problem
    ) -> _Conditions:
        """Besides, rows that keep every box near one solve of the whole domain at its faces."""
        config, whole_BJP = self.config, fields_BJTS.flatten(2)
        one = edges._replace(held_KR=self._learnt(edges.points_R)[None])
        window_1P = torch.ones_like(whole_BJP[0, :1])
        weights_B1J, _ = self._weights(jets_BJDTS, one, window_1P, problem, BoxBank(1))
        at_face_KP = at_faces(self.shape, config.splits, config.overlap).flatten(1)
        at_face_KP = at_face_KP.to(whole_BJP.device)
        points_F = at_face_KP.any(0).nonzero().squeeze(1)
        rows_BJF = whole_BJP[:, :, points_F] / _level(problem.first_BS)[:, None, None]
        anchor_BF = (weights_B1J @ rows_BJF)[:, 0]
        return _Conditions(
            torch.cat([edges.rows_BRJ, _less(rows_BJF, anchor_BF).mT], 1),
            torch.cat([edges.points_R, points_F]),
            torch.cat([edges.kinds_R, torch.full_like(points_F, _KINDS.index("face"))]),
            torch.cat([edges.held_KR, at_face_KP[:, points_F] * self._learnt(points_F)], 1),
        )

    def windows(self) -> Tensor:
        """Shares of all points, (K, T, *S)."""
        config = self.config
        if config.scattered:
            return scattered_windows(self.shape, config.num_boxes, _SEED)
        return box_windows(self.shape, config.splits, config.overlap)

    def _weights(
        self,
        jets_BJDTS: Tensor,
        conditions: _Conditions,
        windows_KP: Tensor,
        problem: _Problem,
        boxes: nn.Module,
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
        per_box = self._scales(counts_KM, conditions)
        own = (
            jets_BKMDJ,
            source_BKM,
            conditions.rows_BRJ[:, None].expand(-1, shape[1], -1, -1),
            *(scales.expand(shape[0], *scales.shape) for scales in per_box),
            problem.coefficients_BP[:, None].expand(-1, shape[1], -1),
            problem.unit_B[:, None].expand(-1, shape[1]),
        )
        start = 1.0 if config.initial == "rows" else 0.0
        start_BKN = jets_BJDTS.new_full(shape, start)
        rows = BoxRows(config.evolution, config.ridge)
        ending = boxes(rows, start_BKN, own, config.solver)
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

    def _scales(self, counts_KM: Tensor, conditions: _Conditions) -> tuple[Tensor, Tensor]:
        """One over the root of the number of rows, of all or of each kind."""
        held_KR, kinds_R = conditions.held_KR, conditions.kinds_R
        of_kinds = [(held_KR * (kinds_R == kind)).sum(1) for kind in range(len(_KINDS))]
        numbers = torch.stack([counts_KM.sum(1), *of_kinds], 1)
        if self.config.weighed == "rows":
            numbers = numbers.sum(1, keepdim=True).expand_as(numbers)
        roots = numbers.clamp(min=1).sqrt()
        return counts_KM / roots[:, :1], held_KR / roots[:, 1:][:, kinds_R]

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


def _less(rows_BJR: Tensor, levels: Tensor) -> Tensor:
    """Rows with their levels taken off the known field, whose weight is one."""
    known = rows_BJR[:, :1] - levels.expand(len(rows_BJR), -1)[:, None]
    return torch.cat([known, rows_BJR[:, 1:]], 1)


def _level(first_BS: Tensor) -> Tensor:
    """What errors of a field are measured by, (B,)."""
    return _root_mean_square(first_BS.flatten(1)).clamp(min=_LEAST_LEVEL)


def _root_mean_square(values: Tensor) -> Tensor:
    """Over the last axis; its slope at zero is zero, not infinite."""
    squared = values.square().mean(-1)
    tiny = torch.finfo(values.dtype).tiny
    return squared.clamp(min=tiny).sqrt() * (squared > 0)
