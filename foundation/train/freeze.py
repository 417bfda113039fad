"""Freezing the routers: a model in, the same model with routers that no training moves.

What is constant afterwards is each router as a function of its block's input:
parameters of feature extractor and gate (no gradient, and no place in the
optimiser: no weight decay, no momentum), their batch statistics (`train` cannot
wake them), the temperature (its floor). The input still moves with the layers
before it, so a field may change its route, but not that of a gate that sees the context;
gradients pass through the frozen parts.
Source: MoE-POT, fine-tuning. The published freeze is undone by the next `train`
as far as batch statistics go.
"""

from collections.abc import Iterator

from torch import nn

from data_shards.errors import UserError
from foundation.models.annealed import AnnealedNetwork
from foundation.models.registry import ModelConfig
from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import TemperatureSchedule
from foundation.moe.spectral import SpectralMixture
from foundation.nn.normalise import SampleBatchNorm


def router_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of every feature extractor and router."""
    for path, module in model.named_modules():
        names: tuple[str, ...] = ()
        if isinstance(module, AnnealedNetwork) and module.router.sees == "context":
            names = ("context_router",)
        elif isinstance(module, MixtureOfExperts) and module.router is not None:
            names = ("extract", "router")
        elif isinstance(module, SpectralMixture) and module.router is not None:
            names = ("router",)
        for name in names:
            yield f"{path}.{name}" if path else name, getattr(module, name)


def freeze_routers(model: nn.Module) -> None:
    """Keep every router as it is, in place; before the engine is built.

    Raises:
        UserError: there is none.
    """
    parts = [part for _, part in router_parts(model)]
    if not parts:
        raise UserError("router=frozen: the network is dense, it has no router; take router=free")
    for part in parts:
        part.requires_grad_(False)
        for module in part.modules():
            if isinstance(module, SampleBatchNorm):
                module.freeze()


def at_temperature_floor(config: ModelConfig) -> ModelConfig:
    """The configuration with routers at the floor of their temperature, whatever the step."""
    if not config.num_routed:
        return config
    values = config.model_dump(mode="json")
    floor = values["router"]["temperature"]["floor"]
    values["router"]["temperature"] = TemperatureSchedule(start=floor, floor=floor).model_dump()
    return type(config).model_validate(values)
