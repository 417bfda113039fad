"""Networks whose routers' temperature follows the training step; maybe one gate for all blocks."""

from collections.abc import Iterable
from dataclasses import replace
from math import log2, prod

import torch
from torch import Tensor, nn

from data_shards.stream.batch import Batch
from foundation.models.config import FieldConfig
from foundation.models.context import described, describing_products, num_described
from foundation.models.network import FieldNetwork
from foundation.models.work import Work
from foundation.moe.gate import first_products, gate_products
from foundation.moe.router import Router, RouterConfig, Routing, assigned


class AnnealedNetwork(FieldNetwork):
    """Base of networks whose routers anneal; a concrete one says what they are.

    `training_step` is a persistent buffer that `at_step` sets; the routers' temperature is a
    function of it, so that it travels with the weights. Where routers see the context, there is
    one for all blocks.
    """

    training_step: Tensor

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.register_buffer("training_step", torch.zeros((), dtype=torch.int64))
        if self.router.sees == "context":
            self.context_router = Router(num_described(config.channels), self.router)

    @property
    def router(self) -> RouterConfig:
        """What all routers are made of."""
        raise NotImplementedError

    def decided(self, batch: Batch) -> Routing | None:
        if self.router.sees == "features":
            return assigned(self.router, batch)
        seen = batch.given if batch.routed_by is None else batch.routed_by
        seen_BF = described(seen.detach()).to(next(self.context_router.parameters()).dtype)
        routing: Routing = self.context_router(seen_BF, self.softmax_temperature())
        return routing

    def reset(self, _generator: torch.Generator) -> None:
        """Step 0."""
        with torch.no_grad():
            self.training_step.zero_()

    def at_step(self, step: int) -> None:
        """Set the step that the routers' temperature follows."""
        super().at_step(step)
        self.training_step.fill_(step)

    @property
    def temperature(self) -> float:
        """Of the routers; waits for the device."""
        return self.router.temperature.at(int(self.training_step))

    def softmax_temperature(self) -> Tensor:
        """The same as the routers take it: a scalar where the weights are."""
        schedule, step = self.router.temperature, self.training_step.to(torch.float32)
        return (schedule.start * schedule.decay**step).clamp(min=schedule.floor)

    def routed_through(
        self, blocks: Iterable[nn.Module], x: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """Features through blocks that take temperature and a decided routing; how they routed."""
        temperature = self.softmax_temperature()
        routing: list[Routing] = []
        for block in blocks:
            x, routed = self.run_block(block, x, temperature, decided)
            routing.append(routed)
        return x, tuple(routing)


def with_context(whole: Work, config: FieldConfig, router: RouterConfig) -> Work:
    """Work of a forward pass on one sample with that of the gate that sees the context, if any."""
    if router.sees == "features":
        return whole
    seen = num_described(config.channels)
    describing = 2 * describing_products(config.channels, config.grid)
    points = prod(config.grid)
    return replace(
        whole,
        products=whole.products + describing + 2 * gate_products(seen, router.num_experts),
        transforms=whole.transforms + round(config.channels * 2.5 * points * log2(points)),
        frozen_products=whole.frozen_products + describing,
        fixed_products=whole.fixed_products + 2 * first_products(seen),
    )
