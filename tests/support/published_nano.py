"""The configuration of the network whose tensors the published implementation computed."""

from typing import Any

from foundation.models.moe_pot import MoEPOTConfig
from foundation.moe.router import RouterConfig


def published_nano(values: dict[str, Any]) -> MoEPOTConfig:
    """Ours, from the values that stand beside the tensors, by their published names."""
    return MoEPOTConfig(
        resolution=values["img_size"],
        patch=values["patch_size"],
        width=values["embed_dim"],
        blocks=values["depth"],
        heads=values["n_blocks"],
        modes=values["modes"],
        head_width=values["out_layer_dim"],
        router=RouterConfig(gate_norm="batch"),
    )
