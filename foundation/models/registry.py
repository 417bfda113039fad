"""Architectures by name: plain configuration values in, a module out."""

from typing import Any

import torch
from torch import nn

from data_shards.errors import UserError, unknown_name
from foundation.models.moe_pot import MoEPOT, MoEPOTConfig
from foundation.nn.initialise import initialise

ModelConfig = MoEPOTConfig  # becomes a union as architectures join

_ARCHITECTURES: dict[str, tuple[type[MoEPOTConfig], type[MoEPOT]]] = {
    "moe_pot": (MoEPOTConfig, MoEPOT),
}


def read_model_config(values: Any, where: str) -> ModelConfig:
    """Validate the `model` part of a run or checkpoint configuration.

    Raises:
        UserError: not a mapping, an unknown architecture, or a value out of range.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: model is {values!r}, wanted a mapping of settings")
    name = values.get("model_type", "moe_pot")
    if name not in _ARCHITECTURES:
        raise unknown_name("model_type", str(name), _ARCHITECTURES)
    return _ARCHITECTURES[name][0].read(values, where)


def build_model(config: ModelConfig, seed: int | None = None) -> nn.Module:
    """A module on the CPU in float32.

    Args:
        config: of the architecture.
        seed: of the initial weights; None leaves memory uninitialised, for loading.
    """
    with torch.device("meta"):
        model = _ARCHITECTURES[config.model_type][1](config)
    model.to_empty(device="cpu")
    if seed is not None:
        initialise(model, seed)
    return model
