"""FNO: given fields of a PDE in, asked ones out, by convolutions in the spectrum.

Axes: B samples, T frames, C channels, S the grid, D width.
Frames are stacked as channels beside a coordinate per axis, lifted to the width, and
pass layers of `gelu(spectral convolution + 1 x 1 map)`; two 1 x 1 maps project.
Source: FNO (ICLR 2021), 2-D in space, autoregressive in time, or by `over_time`
all frames of a plane at once, time an axis of the transform; transfer scaling
(NeurIPS 2023) by `places: false` and a `projection` of twice the width, with
the same first weights (uniform in (0, 1) / D^2 in the spectrum). Additions:
normalisation and target as in every network here (framing.py), and the
options that spectral_network.py names.
The package `neuraloperator` (2.0) has this network too, but its wheel asks for
wandb, zencfg, configmypy, ruamel-yaml, tensorly and tensorly-torch: too much
for a hundred lines. Its layer and the study's network agree with these (tests/golden).
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from foundation.models.spectral_network import SpectralConfig, SpectralNetwork, work_with
from foundation.models.work import Work
from foundation.moe.router import Routing
from foundation.nn.spectral import SpectralConvolution


class FNOConfig(SpectralConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["fno"] = "fno"


class Layer(nn.Module):
    """Spectral convolution beside a 1 x 1 map, then GELU but for the last layer; maybe residual."""

    def __init__(self, config: FNOConfig, last: bool) -> None:
        super().__init__()
        axes, width = len(config.mapped_grid), config.width
        self.spectral = SpectralConvolution(width, config.modes, axes)
        self.local = nn.Linear(width, width)
        self.residual, self.last = config.residual, last

    def forward(self, x_BSD: Tensor) -> Tensor:
        """(B, *S, D) -> (B, *S, D)."""
        # The local map first: a sum takes its first term's memory layout, and a transform's is
        # strided, which the next map would have to copy.
        x: Tensor = self.local(x_BSD) + self.spectral(x_BSD)
        x = x if self.last else F.gelu(x)
        return x_BSD + x if self.residual else x


class FNO(SpectralNetwork):
    """The Fourier neural operator."""

    config: FNOConfig

    def __init__(self, config: FNOConfig) -> None:
        count = config.layers
        super().__init__(config, (Layer(config, last=n == count - 1) for n in range(count)))

    def through_layers(
        self, x_BSD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        for layer in self.layers:
            x_BSD = self.run_block(layer, x_BSD)
        return x_BSD, ()


def work(config: FNOConfig) -> Work:
    """Of a forward pass on one sample."""
    spectral = config.kept_modes * (2 * config.width) ** 2
    return work_with(config, spectral, kept=0, shared=spectral)
