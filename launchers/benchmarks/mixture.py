"""The mixture of experts alone: routed and shared experts, forward and backward.

Yardsticks: the published formulation, which computes all experts; float32; one matrix product
with as many multiply-adds. Features and routes are given, so that neither the map before
the experts nor the gate is timed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.moe.mixing import ExpertRoutes, Maps, mix_chosen
from launchers.benchmarks.own_process import in_own_process
from launchers.benchmarks.published_form import sum_of_all
from launchers.benchmarks.timing import Figure, Goal, Way, at_least, at_most, in_turns, ratio

TOKENS, CHOSEN, SHARED = 256, 4, 2


@dataclass(frozen=True)
class Layer:
    """Experts of one block, rows for them and a gradient from above.

    Attributes:
        experts, shared: linear maps F -> D.
        rows_BNF: features, with a gradient.
        maps_BFN: the same, features before space as in the published form.
        weights_BE: routing weights, with a gradient; zero where not chosen.
        gradient_BND, gradient_BDN: of the loss with respect to the output, in both orders.
    """

    experts: Maps
    shared: Maps
    rows_BNF: Tensor
    maps_BFN: Tensor
    weights_BE: Tensor
    gradient_BND: Tensor
    gradient_BDN: Tensor

    def sparse(self) -> None:
        """A step of ours."""
        routes = ExpertRoutes.of_weights(self.weights_BE)
        out = mix_chosen(self.rows_BNF, routes, self.experts, self.shared)
        self._back(out, self.gradient_BND)

    def all_computed(self) -> None:
        """A step of the published formulation, features before space as there."""
        side = int(TOKENS**0.5)
        features_BFhw = self.maps_BFN.view(*self.maps_BFN.shape[:2], side, side)
        out = sum_of_all(features_BFhw, self.weights_BE, self.experts, self.shared)
        self._back(out.flatten(2), self.gradient_BDN)

    def _back(self, out: Tensor, gradient: Tensor) -> None:
        inputs = self.rows_BNF, self.maps_BFN, self.weights_BE
        for leaf in (*inputs, *self.experts, *self.shared):
            leaf.grad = None
        out.backward(gradient)  # type: ignore[no-untyped-call]


def layer_of(
    width: int,
    num_experts: int,
    rows: int,
    dtype: torch.dtype,
    device: torch.device,
    tokens: int = TOKENS,
) -> Layer:
    """A layer whose routes are spread evenly: row b chooses experts 4 b to 4 b + 3."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    features, gradient = random(rows, tokens, width), random(rows, tokens, width)
    bound = width**-0.5  # as a linear map starts

    def linear(number: int) -> Maps:
        shapes = (number, width, width), (number, width)
        return Maps(*(random(*shape).mul_(bound).requires_grad_() for shape in shapes))

    choice = (CHOSEN * torch.arange(rows)[:, None] + torch.arange(CHOSEN)) % num_experts
    weights = torch.zeros(rows, num_experts).scatter(1, choice, 1 / CHOSEN).to(device)
    return Layer(
        linear(num_experts),
        linear(SHARED),
        features.requires_grad_(),
        features.detach().transpose(1, 2).contiguous().requires_grad_(),
        weights.requires_grad_(),
        gradient,
        gradient.transpose(1, 2).contiguous(),
    )


def one_product(width: int, samples: int, dtype: torch.dtype, device: torch.device) -> Way:
    """A product with the experts' multiply-adds, forward, and its two backward."""
    rows = samples * TOKENS * (CHOSEN + SHARED)
    left, weight = (torch.randn(n, width).to(device, dtype) for n in (rows, width))

    def product() -> None:
        out = left @ weight.t()
        torch.mm(out, weight)
        torch.mm(out.t(), left)

    return product


def _all_computed(width: int, samples: int, device: torch.device) -> Way:
    return layer_of(width, 16, samples, torch.float32, device).all_computed


def mixture_figures(device: torch.device, rounds: int, samples: int = 20) -> list[Figure]:
    """All figures of the layer, at tiny's width."""
    full, half = torch.float32, torch.bfloat16
    width = 512
    layers = {dtype: layer_of(width, 16, samples, dtype, device) for dtype in (full, half)}
    ways: dict[str, Way] = {
        "fp32": layers[full].sparse,
        "bf16": layers[half].sparse,
        "product": one_product(width, samples, full, device),
        "product bf16": one_product(width, samples, half, device),
    }
    single = layer_of(width, 16, samples * TOKENS, full, device, tokens=1)
    ways["by token"] = single.sparse
    for count in (8, 64):
        ways[f"{count} experts"] = layer_of(width, count, samples, full, device).sparse
    with in_own_process(_all_computed, width, samples, device) as ways["all"]:
        seconds = in_turns(ways, rounds, device)
    where = f"mixture, batch {samples}, width {width}"

    def told(name: str, over: str, under: str, goal: Goal | None = None) -> Figure:
        return ratio(f"{where}: {name}", seconds[over], seconds[under], goal)

    return [
        told("all experts / ours, fp32", "all", "fp32", at_least(3.2)),
        told("fp32 / bf16", "fp32", "bf16", at_least(1.8)),
        told("ours / one product, fp32", "fp32", "product", at_most(1.4)),
        told("ours / one product, bf16", "bf16", "product bf16"),
        told("every token routed for itself / one product, fp32", "by token", "product"),
        told("one product, fp32 / bf16", "product", "product bf16"),
        told("64 experts / 8", "64 experts", "8 experts", at_most(1.15)),
    ]
