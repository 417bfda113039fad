"""Tokenizer of three-dimensional flow: a frame in, the same frame out, by way of its latents.

Axes: B samples, T = 1 frame, C channels (velocity first), D slices, H rows, W columns.
Its autoencoder (`nn.flow_autoencoder`) is what a latent transformer (`shodh_moe`) stands on.
"""

from typing import Literal

from torch import Tensor

from data_shards.stream.batch import Batch
from foundation.models.flow import FlowConfig, FlowNetwork
from foundation.models.types import Prediction
from foundation.models.work import Work
from foundation.nn.flow_autoencoder import (
    coding_kept,
    decoding_products,
    encoding_products,
    entry_products,
    flow_of,
)


class FlowTokenizerConfig(FlowConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["flow_tokenizer"] = "flow_tokenizer"
    context_frames: Literal[1] = 1

    @property
    def reconstructs(self) -> bool:
        return True


class FlowTokenizer(FlowNetwork):
    """The autoencoder, asked for the frame that it is given."""

    config: FlowTokenizerConfig

    def forward(self, batch: Batch) -> Prediction:
        """Reconstruct `batch.given` (B, 1, C, D, H, W)."""
        flow = flow_of(batch)
        fields: Tensor = self.autoencoder.decode(self.autoencoder.encode(batch.given, flow), flow)
        return Prediction(fields, (), batch.given.new_empty(len(batch), 0))


def work(config: FlowTokenizerConfig) -> Work:
    """Of a forward pass on one sample."""
    sizes = config.autoencoder, config.channels, config.resolution
    kept = 2 * coding_kept(*sizes)
    return Work(
        products=2 * (encoding_products(*sizes) + decoding_products(*sizes)),
        block_products=0,
        kept=kept,
        between=kept,
        largest_block=0,
        depth=2 * config.autoencoder.levels + 2,
        fixed_products=2 * entry_products(*sizes),
    )
