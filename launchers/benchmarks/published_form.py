"""The published formulation of MoE-POT: the yardstick of every speed, and an oracle in tests.

Axes: B samples, T frames, C channels, H rows, W columns; h, w patches (N of them), D width,
F = D times MLP ratio, E experts, G heads, S = D / G.
Source: MoE-POT (NeurIPS 2025), network items 1 to 5. Features stand before space; every
frame is joined with its coordinates, embedded, placed and aggregated by itself; every
expert is computed on every sample and multiplied by a weight that is mostly zero; the
spectrum is mixed by complex parts that are filled into zeros. It works on the weights of
one of our networks and gives what that network gives.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.models import dpot, moe_pot
from foundation.models.network import Answer, FieldNetwork
from foundation.models.operator_transformer import OperatorTransformer
from foundation.moe.experts import ExpertBank, Experts
from foundation.moe.mixing import Maps
from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import Routing
from foundation.nn.fourier import FourierLayer
from foundation.nn.patch import PatchEmbedding, PatchHead, coordinates_like
from foundation.nn.temporal import TemporalAggregation


class PublishedForm(FieldNetwork):
    """A network of ours, computed as published. Holds that network and no weight besides."""

    def __init__(self, model: OperatorTransformer) -> None:
        super().__init__(model.config)
        self.model = model

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        model = self.model
        x_BDhw = _aggregated(model.temporal, _embedded(model, inputs))
        if statistics_B2C is not None:
            scale = model.scale_features(statistics_B2C)[:, :, None, None]
            x_BDhw = scale * x_BDhw + model.shift_features(statistics_B2C)[:, :, None, None]
        routing: list[Routing] = []
        for block in model.blocks:
            x_BDhw = x_BDhw + self.through(block, x_BDhw, routing)
        assert isinstance(model.head, PatchHead)
        fields = _unfolded(model.head, x_BDhw)
        return Answer(fields, tuple(routing), model.classify(x_BDhw.mean((2, 3))))

    def through(self, block: nn.Module, x_BDhw: Tensor, routing: list[Routing]) -> Tensor:
        """A block but for its skip; notes how it routed."""
        if isinstance(block, dpot.Block):
            x = block.norm_mlp(_fourier(block.fourier, block.norm_space(x_BDhw)))
            return _pointwise(block.narrow, F.gelu(_pointwise(block.widen, x)))
        assert isinstance(block, moe_pot.Block)
        assert isinstance(self.model, moe_pot.MoEPOT)
        assert self.model.router.by == "gate", "as published"
        x = block.norm_moe(_fourier(block.fourier, block.norm_space(x_BDhw)))
        mixed, routed = all_experts(block.moe, x, self.model.softmax_temperature())
        routing.append(routed)
        return mixed


def all_experts(
    moe: MixtureOfExperts, x_BDhw: Tensor, temperature: float | Tensor
) -> tuple[Tensor, Routing]:
    """A mixture whose experts are all computed on all samples, (B, D, h, w) -> the same."""
    assert moe.unit == "sample", "as published"
    assert moe.router is not None, "as published"
    features = F.gelu(_pointwise(moe.extract, x_BDhw))
    routing = moe.router(features.mean((2, 3)), temperature)
    assert isinstance(moe.routed, ExpertBank)
    shared = None if moe.shared is None else moe.shared.maps
    routed = moe.routed.experts
    assert isinstance(routed, Experts)
    return sum_of_all(features, routing.weights_BE, routed.maps, shared), routing


def sum_of_all(
    features_BFhw: Tensor,
    weights_BE: Tensor,
    experts: Maps,
    shared: Maps | None,
) -> Tensor:
    """Weighted sum of all experts, mostly times zero, and mean of the shared, (B, D, h, w)."""
    out = features_BFhw.new_zeros(())
    for number, expert in enumerate(zip(*experts, strict=True)):
        weight = weights_BE[:, number, None, None, None]
        out = out + weight * F.gelu(_convolved(features_BFhw, *expert))
    if shared:
        each = [F.gelu(_convolved(features_BFhw, *e)) for e in zip(*shared, strict=True)]
        out = out + torch.stack(each).mean(0)
    return out


def _pointwise(linear: nn.Module, x_BDhw: Tensor) -> Tensor:
    """A linear map as a 1 x 1 convolution."""
    assert isinstance(linear, nn.Linear)
    return _convolved(x_BDhw, linear.weight, linear.bias)


def _convolved(x_BDhw: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x_BDhw, weight[:, :, None, None], bias)


def _embedded(model: OperatorTransformer, frames_BTCHW: Tensor) -> Tensor:
    """(B, T, C, H, W) -> (B, T, D, h, w), each frame by itself."""
    embed: PatchEmbedding = model.embed
    batch = frames_BTCHW.shape[0]
    places = coordinates_like(frames_BTCHW).expand(batch, -1, -1, -1, -1)
    x = torch.cat([frames_BTCHW, places], dim=2).flatten(0, 1)
    size = embed.patch
    weight = embed.project.weight.view(-1, x.shape[1], size, size)
    x = F.gelu(F.conv2d(x, weight, embed.project.bias, stride=size))
    x = _pointwise(embed.expand, x) + model.position.permute(0, 3, 1, 2)
    return x.view(batch, -1, *x.shape[1:])


def _aggregated(temporal: TemporalAggregation, x_BTDhw: Tensor) -> Tensor:
    """(B, T, D, h, w) -> (B, D, h, w)."""
    if temporal.gamma is not None:
        times = torch.linspace(0, 1, x_BTDhw.shape[1], device=x_BTDhw.device)
        phases_TD = torch.cos(times[:, None] * temporal.gamma)
        x_BTDhw = x_BTDhw * phases_TD[:, :, None, None].to(x_BTDhw.dtype)
    out: Tensor = torch.einsum("tde,btdhw->behw", temporal.weight, x_BTDhw)
    return out


def _fourier(layer: FourierLayer, x_BDhw: Tensor) -> Tensor:
    """(B, D, h, w) -> (B, D, h, w), complex arithmetic by its real and imaginary parts."""
    rows, columns = x_BDhw.shape[2:]
    x = x_BDhw.permute(0, 2, 3, 1)
    spectrum = torch.fft.rfft2(x.float(), dim=(1, 2), norm="ortho")
    by_head = spectrum.view(*spectrum.shape[:3], layer.heads, -1)
    kept = by_head[:, : layer.modes, : layer.modes]
    real, imaginary = _complex(kept.real, kept.imag, layer.weight_in, layer.bias_in)
    mixed = _complex(F.gelu(real), F.gelu(imaginary), layer.weight_out, layer.bias_out)
    out = torch.zeros_like(by_head)
    out[:, : layer.modes, : layer.modes] = torch.view_as_complex(torch.stack(mixed, -1).float())
    space: Tensor = torch.fft.irfft2(out.flatten(-2), s=(rows, columns), dim=(1, 2), norm="ortho")
    return space.to(x_BDhw.dtype).permute(0, 3, 1, 2) + x_BDhw


def _complex(
    real: Tensor, imaginary: Tensor, weight_2GSS: Tensor, bias_2GS: Tensor
) -> tuple[Tensor, Tensor]:
    """Complex matrix of every head on the parts of a spectrum, (B, h, w, G, S) each."""

    def product(x: Tensor, part: int) -> Tensor:
        return torch.einsum("bhwgs,gsr->bhwgr", x.to(weight_2GSS.dtype), weight_2GSS[part])

    return (
        product(real, 0) - product(imaginary, 1) + bias_2GS[0],
        product(imaginary, 0) + product(real, 1) + bias_2GS[1],
    )


def _unfolded(head: PatchHead, x_BDhw: Tensor) -> Tensor:
    """(B, D, h, w) -> (B, C, H, W)."""
    size = head.patch
    weight = head.unfold.weight.view(size, size, head.between, -1).permute(3, 2, 0, 1)
    x = F.gelu(F.conv_transpose2d(x_BDhw, weight, head.unfold_bias, stride=size))
    return _pointwise(head.project, F.gelu(_pointwise(head.hidden, x)))
