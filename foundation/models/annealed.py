"""Networks whose routers' temperature follows the training step."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from data_shards.stream.batch import Batch
from foundation.models.config import FieldConfig
from foundation.models.network import FieldNetwork
from foundation.moe.router import RouterConfig, Routing, assigned


class AnnealedNetwork(FieldNetwork):
    """Base of networks whose routers anneal; a concrete one says what they are.

    `training_step` is a persistent buffer that `at_step` sets; the routers' temperature is a
    function of it, so that it travels with the weights.
    """

    training_step: Tensor

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.register_buffer("training_step", torch.zeros((), dtype=torch.int64))

    @property
    def router(self) -> RouterConfig:
        """What all routers are made of."""
        raise NotImplementedError

    def assigned(self, batch: Batch) -> Tensor | None:
        return assigned(self.router, batch)

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
        self, blocks: Iterable[nn.Module], x: Tensor, assigned_B: Tensor | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """Features through blocks that take temperature and assigned experts; their routing."""
        temperature = self.softmax_temperature()
        routing: list[Routing] = []
        for block in blocks:
            x, routed = self.run_block(block, x, temperature, assigned_B)
            routing.append(routed)
        return x, tuple(routing)
