"""Mixtures of linear operators in the spectrum: kept modes in, modes and routing out.

Axes: B samples, M rows (samples that arrived at this rank), K modes of which the lowest are routed,
D features, 2 for real and imaginary parts, F = 2 D of them together; E routed experts, O octaves,
R routes: a row that goes to an expert is one.
An expert is a complex D x D matrix for every mode, the operator of a Fourier layer. It is linear,
so that a sample's experts act on its few modes, one after the other, and their weighted sum is
transformed back once: a layer of any number of experts has one pair of transforms. Rows travel to
the ranks of their experts as those of other experts do.
What a router sees of a map is read off its modes: the mean of every feature, and its size in
octaves of wave numbers.
"""

import itertools
from collections.abc import Iterator, Sequence
from math import floor, log2
from typing import Any

import torch
from torch import Tensor, nn

from foundation.moe.experts import ExpertBank, RoutedExperts
from foundation.moe.mixing import ExpertRoutes
from foundation.moe.router import RouterConfig, Routing, block_router
from foundation.nn.device import in_launches
from foundation.nn.outside_graphs import outside_graphs

_SMALLEST = 1e-8  # of a mean square of features, which are of order one: less is nothing


class SpectralExperts(RoutedExperts):
    """Complex matrices of every mode: weight (E, K, D, 2 D), real columns before imaginary ones."""

    def __init__(self, number: int, num_modes: int, width: int) -> None:
        super().__init__(number)
        self.weight = nn.Parameter(torch.empty(number, num_modes, width, 2 * width))

    def start(self, index: int, generator: torch.Generator) -> None:
        """Uniform in (0, 1) times 1 / D^2, as in a dense layer."""
        weight = self.weight.detach()[index]
        weight.uniform_(0.0, weight.shape[1] ** -2, generator=generator)

    def mixed(self, rows_MNF: Tensor, routes: ExpertRoutes, shared: None) -> Tensor:
        """Weighted sum of each row's chosen ones (M, K, 2 D); shared ones act on other modes."""
        return mix_spectral(rows_MNF, routes, self.weight)

    def of_every_row(self, rows_MKF: Tensor) -> Tensor:
        """What the first one makes of every row (M, K, 2 D)."""
        rows_KMF = rows_MKF.transpose(0, 1).to(self.weight.dtype)
        product_KMF = _products(rows_KMF, self.weight[:1], [len(rows_MKF)])
        return product_KMF.transpose(0, 1).to(rows_MKF.dtype)


class SpectralMixture(nn.Module):
    """Router, maybe an expert that every sample passes, and the bank of routed ones."""

    octave_KO: Tensor
    routed_K: Tensor

    def __init__(
        self,
        width: int,
        wave_numbers: Sequence[float],
        routed: Sequence[int],
        is_shared: bool,
        config: RouterConfig,
    ) -> None:
        """Build it.

        Args:
            width: features D.
            wave_numbers: length of each kept mode's wave vector, in waves per side.
            routed: places of the modes on which experts act; the others have the shared one alone.
            is_shared: whether there is one that every sample passes.
            config: of the router.
        """
        super().__init__()
        self.wave_numbers, self.places = tuple(wave_numbers), tuple(routed)
        self.register_buffer("octave_KO", octaves(wave_numbers), persistent=False)
        self.register_buffer("routed_K", torch.tensor(self.places), persistent=False)
        self.router = block_router(width * (1 + num_octaves(wave_numbers)), config)
        self.shared = SpectralExperts(1, len(wave_numbers), width) if is_shared else None
        self.routed: nn.Module = ExpertBank(SpectralExperts(config.num_experts, len(routed), width))

    def reset(self, _generator: torch.Generator) -> None:
        """Which modes are of which octave, and which are routed; drawn from nothing."""
        self.octave_KO.copy_(octaves(self.wave_numbers))
        self.routed_K.copy_(torch.tensor(self.places))

    def forward(
        self,
        modes_BKD: Tensor,
        points: int,
        temperature: float | Tensor,
        decided: Routing | None = None,
    ) -> tuple[Tensor, Routing]:
        """Complex (B, K, D) -> (B, K, D) and the routing of the samples.

        Args:
            modes_BKD: of maps.
            points: that a map has.
            temperature: of the router.
            decided: the routing, where the router is not asked.
        """
        parts_BK2D = torch.view_as_real(modes_BKD).transpose(2, 3)
        routing = decided
        if routing is None:
            assert self.router is not None, "it is told how it routes, or has a router"
            seen_BF = self._seen(parts_BK2D / points).to(next(self.router.parameters()).dtype)
            routing = self.router(seen_BF, temperature)
        rows_BKF = parts_BK2D.flatten(2)
        chosen_BKF = self.routed(rows_BKF.index_select(1, self.routed_K), routing, None)
        base_BKF = torch.zeros_like(rows_BKF)
        if self.shared is not None:
            base_BKF = self.shared.of_every_row(rows_BKF)
        mixed_BKF = base_BKF.index_add(1, self.routed_K, chosen_BKF)
        mixed = mixed_BKF.view(parts_BK2D.shape).transpose(2, 3)
        return torch.view_as_complex(mixed.contiguous()), routing

    def _seen(self, parts_BK2D: Tensor) -> Tensor:
        """What the router sees (B, D + O D): means, and logarithms of octaves' sizes."""
        means_BD = parts_BK2D[:, 0, 0]
        member_KO = self.octave_KO.to(parts_BK2D.dtype)
        squares_BOD = torch.einsum("bkd,ko->bod", parts_BK2D.square().sum(2), member_KO)
        sizes_BOD = 0.5 * (squares_BOD + _SMALLEST).log()
        return torch.cat([means_BD[:, None], sizes_BOD], dim=1).flatten(1)


def num_octaves(wave_numbers: Sequence[float]) -> int:
    """O, from a single wave per side on."""
    return floor(log2(max(wave_numbers))) + 1


def octaves(wave_numbers: Sequence[float]) -> Tensor:
    """Which modes lie in which octave of wave numbers (K, O), 0 or 1; the mean lies in none."""
    number = [floor(log2(wave)) if wave > 0 else -1 for wave in wave_numbers]
    member_KO = torch.zeros(len(number), num_octaves(wave_numbers))
    for mode, octave in enumerate(number):
        if octave >= 0:
            member_KO[mode, octave] = 1.0
    return member_KO


def mix_spectral(rows_MKF: Tensor, routes: ExpertRoutes, weight_EKDF: Tensor) -> Tensor:
    """Weighted sum of each row's chosen experts.

    Args:
        rows_MKF: modes (M, K, 2 D), real parts first.
        routes: of the rows to the experts; the gradient of their weights reaches the gate.
        weight_EKDF: of the experts (E, K, D, 2 D).

    Returns:
        (M, K, 2 D), of the rows' type.
    """
    rows_KMF = rows_MKF.transpose(0, 1).to(weight_EKDF.dtype)
    # A GPU and a compiled graph want sizes that stay on the device: there, all experts are computed
    # in one launch, on few modes, rather than the host waited for.
    in_one = in_launches(rows_MKF) or torch.compiler.is_compiling()
    mixed_in = all_at_once if in_one else _one_after_the_other
    mixed_KMF = mixed_in(rows_KMF, routes, weight_EKDF)
    return mixed_KMF.transpose(0, 1).to(rows_MKF.dtype)


def _one_after_the_other(rows_KMF: Tensor, routes: ExpertRoutes, weight_EKDF: Tensor) -> Tensor:
    chosen_KRF = rows_KMF.index_select(1, routes.row_R) * routes.weights_R[:, None].to(
        rows_KMF.dtype
    )
    product_KRF = _products(chosen_KRF, weight_EKDF, routes.ends_E.tolist())
    return torch.zeros_like(rows_KMF).index_add(1, routes.row_R, product_KRF)


def all_at_once(rows_KMF: Tensor, routes: ExpertRoutes, weight_EKDF: Tensor) -> Tensor:
    """The same by all experts on all rows (K, M, 2 D), those not chosen with weight zero."""
    num_rows, width = rows_KMF.shape[1], rows_KMF.shape[2] // 2
    weights_ME = rows_KMF.new_zeros(num_rows, len(weight_EKDF))
    weights_ME = weights_ME.index_put(
        (routes.row_R, routes.expert_R), routes.weights_R.to(rows_KMF.dtype)
    )
    real_EKMF, imaginary_EKMF = (
        torch.matmul(part, weight_EKDF) for part in (rows_KMF[..., :width], rows_KMF[..., width:])
    )
    turned_EKMF = torch.cat([-imaginary_EKMF[..., width:], imaginary_EKMF[..., :width]], dim=-1)
    return torch.einsum("me,ekmf->kmf", weights_ME, real_EKMF + turned_EKMF)


# A graph would hold for as many chosen experts as there were when it was made.
@outside_graphs
def _products(rows_KRF: Tensor, weight_EKDF: Tensor, ends: list[int]) -> Tensor:
    """Each expert's complex matrices times its own modes (K, R, 2 D), sorted by expert."""
    out: Tensor = _Products.apply(rows_KRF, weight_EKDF, ends)  # type: ignore[no-untyped-call]
    return out


class _Products(torch.autograd.Function):
    """`_products`, one batch of real products for every expert that some row chose.

    Real and imaginary parts are rows of their own, so that each meets both columns of a matrix
    as it is stored: nothing of the experts is copied, and each gradient is written where it lies.
    """

    @staticmethod
    def forward(ctx: Any, rows_KRF: Tensor, weight_EKDF: Tensor, ends: list[int]) -> Tensor:
        num_modes, num_routes, features = rows_KRF.shape
        width = features // 2
        parts = rows_KRF.contiguous().view(num_modes, 2 * num_routes, width)
        met = parts.new_empty(num_modes, 2 * num_routes, features)
        for number, rows in _runs(ends):
            met[:, rows] = torch.bmm(parts[:, rows], weight_EKDF[number])
        ctx.save_for_backward(parts, weight_EKDF)
        ctx.ends = ends
        real, imaginary = met.view(num_modes, num_routes, 2, features).unbind(2)
        return torch.cat(
            [
                real[..., :width] - imaginary[..., width:],
                real[..., width:] + imaginary[..., :width],
            ],
            dim=-1,
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_KRF: Tensor) -> tuple[Tensor | None, ...]:
        parts, weight_EKDF = ctx.saved_tensors
        width = parts.shape[2]
        real, imaginary = gradient_KRF[..., :width], gradient_KRF[..., width:]
        of_met = torch.stack([gradient_KRF, torch.cat([imaginary, -real], dim=-1)], dim=2)
        of_met = of_met.view(len(parts), -1, 2 * width)
        of_parts, of_weight = torch.empty_like(parts), torch.empty_like(weight_EKDF)
        chosen = dict(_runs(ctx.ends))
        for number, of_expert in enumerate(of_weight):
            if number not in chosen:
                of_expert.zero_()
                continue
            rows = chosen[number]
            of_parts[:, rows] = torch.bmm(of_met[:, rows], weight_EKDF[number].transpose(1, 2))
            torch.bmm(parts[:, rows].transpose(1, 2), of_met[:, rows], out=of_expert)
        return of_parts.view_as(gradient_KRF), of_weight, None


def _runs(ends: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Number of each expert that some row chose, and where its real and imaginary parts lie."""
    for number, (start, end) in enumerate(itertools.pairwise([0, *ends])):
        if end > start:
            yield number, slice(2 * start, 2 * end)
