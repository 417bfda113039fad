"""Architectures by name: plain configuration values in, a module out."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field

from data_shards.errors import UserError, unknown_name
from foundation.models.dpot import DPOT, DPOTConfig
from foundation.models.fno import FNO, FNOConfig
from foundation.models.moe_pot import MoEPOT, MoEPOTConfig
from foundation.models.network import FrameNetwork
from foundation.models.unet import UNet, UNetConfig
from foundation.nn.initialise import initialise

ModelConfig = Annotated[
    MoEPOTConfig | DPOTConfig | FNOConfig | UNetConfig, Field(discriminator="model_type")
]

_CONFIGS: dict[str, type[MoEPOTConfig] | type[DPOTConfig] | type[FNOConfig] | type[UNetConfig]] = {
    "moe_pot": MoEPOTConfig,
    "dpot": DPOTConfig,
    "fno": FNOConfig,
    "unet": UNetConfig,
}

_NETWORKS: dict[str, Callable[[Any], FrameNetwork]] = {
    "moe_pot": MoEPOT,
    "dpot": DPOT,
    "fno": FNO,
    "unet": UNet,
}


def architecture_names() -> list[str]:
    """Names that `model_type` takes."""
    return sorted(_CONFIGS)


def read_model_config(values: Any, where: str) -> ModelConfig:
    """Validate the `model` part of a run or checkpoint configuration.

    Raises:
        UserError: not a mapping, an unknown architecture, or a value out of range.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: model is {values!r}, wanted a mapping of settings")
    name = values.get("model_type", "moe_pot")
    if name not in _CONFIGS:
        raise unknown_name("model_type", str(name), _CONFIGS)
    return _CONFIGS[name].read(values, where)


def outline_model(config: ModelConfig) -> FrameNetwork:
    """A module without memory, for counting."""
    with torch.device("meta"):
        return _NETWORKS[config.model_type](config)


def build_model(config: ModelConfig, seed: int | None = None) -> FrameNetwork:
    """A module on the CPU in float32.

    Args:
        config: of the architecture.
        seed: of the initial weights; None leaves memory uninitialised, for loading.

    Raises:
        UserError: the network does not say how some of its numbers start.
    """
    model = outline_model(config).to_empty(device="cpu")
    unsaved = dict(model.named_buffers()).keys() - model.state_dict().keys()
    if seed is not None or unsaved:  # which no checkpoint would fill
        initialise(model, seed or 0)
    return model
