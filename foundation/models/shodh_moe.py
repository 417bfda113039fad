"""Shodh-MoE: frames of a three-dimensional flow in, the next one out, forecast among latents.

Axes: B samples, T frames, C channels (velocity first), D, H, W cells; L channels of latents on a
grid d, h, w; N tokens, one per patch of latents; D in BND the width.
A frozen autoencoder, trained before as a `flow_tokenizer`, encodes the context; a transformer of
attention and a mixture of experts, token by token, predicts the change of the latents; the decoder
makes an incompressible flow of them. The next latent state is what is learnt (term `latent`).
Source: arXiv 2605.15179, of which the abstract was read: top-1 soft-semantic routing of latent
patches, shared experts. Sizes, positions, normalisation and the target's scale are not stated
there; they are ours. The router's temperature is constant.
"""

from typing import Literal, Self

import torch
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.stream.batch import Batch
from foundation.models.flow import FlowConfig, FlowNetwork
from foundation.models.mixture import Mixture
from foundation.models.types import ParameterCounts, Prediction
from foundation.models.work import Work
from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import RouterConfig, Routing, TemperatureSchedule, assigned
from foundation.nn.flow_autoencoder import (
    Flow,
    coarsened,
    decoding_products,
    encoding_products,
    flow_of,
)
from foundation.nn.patch import from_patches, in_patches

_TINY = 1e-12
SEMANTIC = RouterConfig(
    num_experts=2,
    top_k=1,
    unit="token",
    gate="prototypes",
    weights="probability",
    temperature=TemperatureSchedule(start=1.0, decay=1.0, floor=1.0),
)


class ShodhMoEConfig(FlowConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["shodh_moe"] = "shodh_moe"
    context_frames: PositiveInt = 2
    patch: PositiveInt = 1  # latents along a side of a token
    width: PositiveInt = 96
    blocks: PositiveInt = 4
    heads: PositiveInt = 4
    mlp_ratio: PositiveInt = 2
    num_shared: NonNegativeInt = 1
    router: RouterConfig = SEMANTIC

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        latents = self.resolution // self.autoencoder.factor
        for name, whole, part in (
            ("latents along a side by patch", latents, self.patch),
            ("width by heads", self.width, self.heads),
        ):
            if whole % part:
                raise ValueError(f"{name}: {whole} is not divisible by {part}; change one of them")
        if self.router.sees == "context":
            raise ValueError("router.sees=context: shodh_moe routes by features; leave it out")
        if self.router.neighbourhood > self.side:
            raise ValueError(
                f"router.neighbourhood={self.router.neighbourhood} exceeds the {self.side} tokens "
                "along a side; lower it"
            )
        if (hottest := self.router.temperature.start) > self.router.temperature.floor:
            raise ValueError(
                f"router.temperature.start={hottest} lies above floor={self.temperature}: "
                "shodh_moe routes at one temperature; set both to it"
            )
        return self

    @property
    def temperature(self) -> float:
        """Of the routers' softmax, at every step."""
        return self.router.temperature.floor

    @property
    def mixture(self) -> Mixture:
        return Mixture(
            self.router,
            blocks=self.blocks,
            tokens=self.side**3,
            width=self.width,
            features=self.width * self.mlp_ratio,
            num_shared=self.num_shared,
        )

    @property
    def side(self) -> int:
        """Tokens along a side."""
        return self.resolution // self.autoencoder.factor // self.patch


class Block(nn.Module):
    """Attention among all tokens, then a mixture of experts, each after a norm and with a skip."""

    def __init__(self, config: ShodhMoEConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.temperature = config.heads, config.temperature
        self.norm_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.norm_moe = nn.LayerNorm(width)
        self.moe = MixtureOfExperts(
            width, width * config.mlp_ratio, config.num_shared, config.router, (config.side,) * 3
        )

    def forward(self, x_BND: Tensor, decided: Routing | None) -> tuple[Tensor, Routing]:
        """(B, N, D) -> (B, N, D) and the block's routing."""
        parts = self.queries_keys_values(self.norm_attention(x_BND))
        q, k, v = parts.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x_BND = x_BND + self.joined(attended)
        mixed, routing = self.moe(self.norm_moe(x_BND), self.temperature, decided)
        return x_BND + mixed, routing


class ShodhMoE(FlowNetwork):
    """The latent transformer between encoder and decoder."""

    config: ShodhMoEConfig

    def __init__(self, config: ShodhMoEConfig) -> None:
        super().__init__(config)
        self.autoencoder.requires_grad_(False)
        latents, patch = config.autoencoder.latent_channels, config.patch**3
        self.embed = nn.Linear(patch * (config.context_frames * latents + 3), config.width)
        self.position = nn.Parameter(torch.empty(1, config.side**3, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, patch * latents)

    def reset(self, generator: torch.Generator) -> None:
        """Position embedding: normal of 0.02."""
        with torch.no_grad():
            self.position.normal_(0.0, 0.02, generator=generator)

    @property
    def temperature(self) -> float:
        return self.config.temperature

    def forward(self, batch: Batch) -> Prediction:
        """Predict the frame after `batch.given` (B, T, C, D, H, W)."""
        flow = flow_of(batch)
        following, routing = self._following(batch, flow)
        terms = {}
        if self.training:  # what is asked is there, and is the next frame
            labelled_B = batch.asked_mask.amax(1)  # of others the next frame is not shown
            terms["latent"] = labelled_B * self._latent_error(following, batch, flow)
        fields = batch.given.new_empty(len(batch), 0)
        if self.fields_wanted or not self.training:  # decoding takes most of a step
            fields = self.autoencoder.decode(following[:, None], flow)
        return Prediction(fields, routing, batch.given.new_empty(len(batch), 0), terms)

    def latent_error(self, batch: Batch) -> Tensor:
        """As the base class has it: the term that is learnt, of any batch."""
        flow = flow_of(batch)
        return self._latent_error(self._following(batch, flow)[0], batch, flow)

    def _latent_error(self, following: Tensor, batch: Batch, flow: Flow) -> Tensor:
        with torch.no_grad():
            truth = self.autoencoder.encode(batch.asked[:, :1], flow)
        return _relative_square(following, truth[:, 0])

    def _following(self, batch: Batch, flow: Flow) -> tuple[Tensor, tuple[Routing, ...]]:
        with torch.no_grad():
            past = self.autoencoder.encode(batch.given, flow)
        return self.next_latents(past, flow, batch)

    def next_latents(
        self, past: Tensor, flow: Flow, batch: Batch
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        """Latents (B, L, d, h, w) after those of a context (B, T, L, d, h, w)."""
        config = self.config
        openness = coarsened(flow.open.to(past.dtype), past.shape[3:])
        given = torch.cat([past.flatten(1, 2), openness], dim=1)
        tokens = in_patches(given, config.patch).flatten(1, 3)
        x_BND: Tensor = self.embed(tokens) + self.position
        decided = assigned(config.router, batch)
        routing: list[Routing] = []
        for block in self.blocks:
            x_BND, routed = self.run_block(block, x_BND, decided)
            routing.append(routed)
        patches = self.project(self.norm(x_BND)).unflatten(1, (config.side,) * 3)
        change = from_patches(patches, config.patch)
        return past[:, -1] + change, tuple(routing)

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one token passes."""
        total = sum(p.numel() for p in self.parameters())
        config = self.config
        expert = config.width * config.width * config.mlp_ratio + config.width
        idle = config.router.num_experts - config.router.top_k
        return ParameterCounts(total, total - config.blocks * idle * expert)


def _relative_square(pred: Tensor, true: Tensor) -> Tensor:
    """Squared error per sample (B,), relative to the truth's own square."""
    error = (pred - true).float().square().flatten(1).mean(1)
    return error / (true.float().square().flatten(1).mean(1) + _TINY)


def work(config: ShodhMoEConfig) -> Work:
    """Of a forward pass on one sample.

    The autoencoder is frozen, and what is learnt are the next latents: a training step encodes,
    without gradients, and decodes nothing.
    """
    sizes = config.autoencoder, config.channels, config.resolution
    tokens, width, router = config.side**3, config.width, config.router
    features, latents = width * config.mlp_ratio, config.autoencoder.latent_channels
    patch = config.patch**3
    entry = tokens * width * patch * (config.context_frames * latents + 3)
    ends = entry + tokens * width * patch * latents
    attention = 4 * tokens * width * width + 2 * tokens * tokens * width
    computed = router.top_k + config.num_shared
    mixture = tokens * features * (width * (1 + computed) + router.num_experts)
    block_kept = tokens * (10 * width + 2 * features + computed * width)
    encoding, decoding = encoding_products(*sizes), decoding_products(*sizes)
    coding = config.context_frames * encoding + decoding
    in_blocks = config.blocks * (attention + mixture)
    between = tokens * width * (config.blocks + 2)
    return Work(
        products=2 * (ends + in_blocks + coding),
        block_products=2 * in_blocks,
        kept=between + config.blocks * block_kept,
        between=between,
        largest_block=block_kept,
        depth=config.blocks,
        fixed_products=2 * entry,
        frozen_products=2 * coding,
        taught_products=2 * (encoding - decoding),
    )
