"""Three networks of `neuraloperator` at about the size that a sample of nano passes.

Factories for `foundation evaluate`, in the folder where `learn.py` left the weights:

    foundation evaluate theirs:fno theirs:tfno theirs:uno --shards ... --tasks zero_shot ...
"""

from pathlib import Path

import torch
from neuralop.models import FNO, TFNO, UNO
from torch import nn

from evaluation.foreign import ForeignModel, square, stacked_frames

CHANNELS, CONTEXT, FRAMES = 4, 10, 5  # FRAMES per call, as nano
IN, OUT = CHANNELS * CONTEXT, CHANNELS * FRAMES


def network(name: str) -> nn.Module:
    """With fresh weights, from torch's global generator."""
    if name == "fno":
        return FNO(n_modes=(18, 18), in_channels=IN, out_channels=OUT, hidden_channels=20)
    if name == "tfno":
        return TFNO(
            n_modes=(18, 18), in_channels=IN, out_channels=OUT, hidden_channels=32, rank=0.35
        )
    return UNO(
        IN,
        OUT,
        hidden_channels=20,
        lifting_channels=40,
        projection_channels=40,
        n_layers=5,
        uno_out_channels=[20, 24, 24, 24, 20],
        uno_n_modes=[[16, 16], [12, 12], [12, 12], [12, 12], [16, 16]],
        uno_scalings=[[1.0, 1.0], [0.5, 0.5], [1.0, 1.0], [1.0, 1.0], [2.0, 2.0]],
        horizontal_skips_map={4: 0, 3: 1},
        channel_mlp_skip="linear",
    )


def adapted(made: nn.Module) -> ForeignModel:
    """As it is trained and judged."""
    layout = square(64, CHANNELS)
    return stacked_frames(made, layout, context_frames=CONTEXT, units="sample", increment=True)


def learnt(name: str) -> ForeignModel:
    """With the weights that `learn.py` left."""
    made = network(name)
    made.load_state_dict(torch.load(Path(f"{name}.pt"), weights_only=True))
    return adapted(made)


def fno() -> ForeignModel:
    return learnt("fno")


def tfno() -> ForeignModel:
    return learnt("tfno")


def uno() -> ForeignModel:
    return learnt("uno")
