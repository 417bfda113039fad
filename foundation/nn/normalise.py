"""Normalisation: over samples, whose statistics can span several ranks, and over maps.

Axes: B samples, H rows, W columns, D features.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from foundation.nn.device import in_launches

_MOMENTUM = 0.1
_EPSILON = 1e-5


class SampleBatchNorm(nn.Module):
    """Batch normalisation of (B, D), numerically torch's, exact over data-parallel ranks.

    `sum_over_ranks` is the identity on one process; the parallel layer sets it
    to a differentiable sum over all ranks. Couples the samples of a batch and
    is the one module whose forward changes state (running statistics, in
    training); `held` lets a recomputed forward leave them alone, `freeze` keeps
    them for good.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))
        self.sum_over_ranks: Callable[[Tensor], Tensor] = _alone
        self.held = False
        self.frozen = False

    def freeze(self) -> None:
        """Normalise by the running statistics from now on, whatever `train` says."""
        self.frozen = True
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """As every module; a frozen norm stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def reset(self, generator: torch.Generator) -> None:
        """Identity map; `generator` is unused."""
        with torch.no_grad():
            self.weight.fill_(1.0)
            self.bias.zero_()
            self.running_mean.zero_()
            self.running_var.fill_(1.0)
            self.num_batches_tracked.zero_()

    def forward(self, x_BD: Tensor) -> Tensor:
        """(B, D) -> (B, D), per feature zero mean and unit variance over the samples."""
        x = x_BD.float()
        if self.training:
            count = torch.full_like(x[0, :1], x.shape[0])
            sums = self.sum_over_ranks(torch.cat([x.sum(0), count]))
            mean = sums[:-1] / sums[-1]
            variance = self.sum_over_ranks((x - mean).square().sum(0)) / sums[-1]
            self._track(mean.detach(), variance.detach(), sums[-1].detach())
        else:
            mean, variance = self.running_mean.float(), self.running_var.float()
        y = (x - mean) * torch.rsqrt(variance + _EPSILON)
        return (y * self.weight.float() + self.bias.float()).to(x_BD.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.held:
            return
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), _MOMENTUM)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), _MOMENTUM)
        self.num_batches_tracked += 1


def norm_last(norm: nn.GroupNorm, x_BHWD: Tensor) -> Tensor:
    """torch's group norm on features that stand last, whose own backward pass reorders them.

    On a CPU ours does not; elsewhere torch's forward pass wants them reordered as well.
    """
    if in_launches(x_BHWD):
        other: Tensor = norm(x_BHWD.permute(0, 3, 1, 2))
        return other.permute(0, 2, 3, 1)
    out: Tensor = _GroupNormLast.apply(  # type: ignore[no-untyped-call]
        x_BHWD.contiguous(), norm.weight, norm.bias, norm.num_groups, norm.eps
    )
    return out


class _GroupNormLast(torch.autograd.Function):
    """torch's forward pass, which takes features in any order, and sums in float32 back."""

    @staticmethod
    def forward(
        ctx: Any, x_BHWD: Tensor, weight_D: Tensor, bias_D: Tensor, groups: int, epsilon: float
    ) -> Tensor:
        batch, rows, columns, width = x_BHWD.shape
        out_BDHW, mean_BG, scale_BG = torch.native_group_norm(
            x_BHWD.permute(0, 3, 1, 2),
            weight_D,
            bias_D,
            batch,
            width,
            rows * columns,
            groups,
            epsilon,
        )
        ctx.save_for_backward(x_BHWD, weight_D, mean_BG, scale_BG)
        return out_BDHW.permute(0, 2, 3, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_BHWD: Tensor) -> tuple[Tensor | None, ...]:
        x_BHWD, weight_D, mean_BG, scale_BG = ctx.saved_tensors
        groups, width = mean_BG.shape[1], len(weight_D)
        gradient_BND, x_BND = (t.flatten(1, 2).float() for t in (gradient_BHWD, x_BHWD))
        each = width // groups
        mean_BD, scale_BD = (t.float().repeat_interleave(each, dim=1) for t in (mean_BG, scale_BG))
        sum_BD = gradient_BND.sum(1)
        with_x_BD = (gradient_BND * x_BND).sum(1)
        along_BD = (with_x_BD - sum_BD * mean_BD) * scale_BD  # with the normalised features
        # What the group's mean and deviation take back, spread evenly over its features.
        weight = weight_D.float()
        count = x_BND.shape[1] * each
        back_BD, back_along_BD = (
            (t * weight).unflatten(1, (groups, each)).sum(2).repeat_interleave(each, 1) / count
            for t in (sum_BD, along_BD)
        )
        slope_BD = -back_along_BD * scale_BD.square()
        constant_BD = -back_BD * scale_BD - slope_BD * mean_BD
        out = torch.addcmul(constant_BD[:, None], gradient_BND, (scale_BD * weight)[:, None])
        out = out.addcmul_(x_BND, slope_BD[:, None]).view(x_BHWD.shape).to(x_BHWD.dtype)
        dtype = weight_D.dtype
        return out, along_BD.sum(0).to(dtype), sum_BD.sum(0).to(dtype), None, None


def _alone(x: Tensor) -> Tensor:
    return x


@contextmanager
def statistics_held(module: nn.Module) -> Iterator[None]:
    """Keep running statistics below `module` as they are, for a recomputed forward."""
    norms = [child for child in module.modules() if isinstance(child, SampleBatchNorm)]
    before = [norm.held for norm in norms]
    for norm in norms:
        norm.held = True
    try:
        yield
    finally:
        for norm, held in zip(norms, before, strict=True):
            norm.held = held
