"""What networks of three-dimensional flow share: an autoencoder, and the terms of its input.

Axes: C channels, velocity first: u, v, w on the lower faces of their cells along x, y, z.
"""

from typing import Literal, Self

from pydantic import model_validator

from data_shards.config import later
from foundation.models.config import FieldConfig
from foundation.models.network import FieldNetwork
from foundation.nn.flow_autoencoder import FlowAutoencoder, FlowAutoencoderConfig

_VELOCITY = 3
_MOST_CELLS = 512  # along a side of a box


class FlowConfig(FieldConfig):
    """Fields in a cube, velocity first, by way of latents."""

    dimensions: Literal[3] = later(3)
    out_frames: Literal[1] = 1
    autoencoder: FlowAutoencoderConfig = FlowAutoencoderConfig()

    @property
    def least_channels(self) -> int:
        return _VELOCITY

    @model_validator(mode="after")
    def _is_of_flow(self) -> Self:
        if self.channels < _VELOCITY or not self.feeds_back:
            raise ValueError(
                f"channels={self.channels}, asked_channels={self.asked_channels}, slots="
                f"{list(self.slots)}: a flow is given and asked by place, u, v, w first; set "
                "channels to 3 or more and leave the others out"
            )
        if self.instance_norm or self.scales is not None or self.target != "frame":
            raise ValueError(
                "instance_norm, scales and target=increment would move velocity on closed faces; "
                "a flow's units are its root mean square speed, leave them out"
            )
        if self.resolution > _MOST_CELLS:
            raise ValueError(f"resolution={self.resolution}: a box has at most {_MOST_CELLS}")
        if self.resolution % self.autoencoder.factor:
            raise ValueError(
                f"resolution={self.resolution} is not divisible by {self.autoencoder.factor}, the "
                f"cells of a latent after autoencoder.levels={self.autoencoder.levels}; change one"
            )
        return self


class FlowNetwork(FieldNetwork):
    """A network with an autoencoder, whose weights have the same names in all of them."""

    config: FlowConfig

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.autoencoder = FlowAutoencoder(config.autoencoder, config.channels)
