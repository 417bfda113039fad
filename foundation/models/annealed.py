"""Networks whose routers' temperature follows the training step."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from foundation.models.config import FieldConfig
from foundation.models.network import FieldNetwork
from foundation.moe.router import Routing, TemperatureSchedule


class AnnealedNetwork(FieldNetwork):
    """Base of networks whose routers anneal; a concrete one says by what schedule.

    `training_step` is a persistent buffer that `at_step` sets; the routers' temperature is a
    function of it, so that it travels with the weights.
    """

    training_step: Tensor

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.register_buffer("training_step", torch.zeros((), dtype=torch.int64))

    @property
    def schedule(self) -> TemperatureSchedule:
        """Of the routers' temperature."""
        raise NotImplementedError

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
        return self.schedule.at(int(self.training_step))

    def softmax_temperature(self) -> Tensor:
        """The same as the routers take it: a scalar where the weights are."""
        step = self.training_step.to(torch.float32)
        return (self.schedule.start * self.schedule.decay**step).clamp(min=self.schedule.floor)

    def routed_through(
        self, blocks: Iterable[nn.Module], x: Tensor
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """Features through blocks that take a temperature, one after the other; their routing."""
        temperature = self.softmax_temperature()
        routing: list[Routing] = []
        for block in blocks:
            x, routed = self.run_block(block, x, temperature)
            routing.append(routed)
        return x, tuple(routing)
