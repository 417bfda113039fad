"""Published MoE-POT and DPOT weights: their names and shapes in, ours out.

The published networks are made of 1 x 1 and patch convolutions; ours of linear
maps over the last axis, which hold the same numbers in another order.
Source: MoE-POT (NeurIPS 2025) and DPOT (ICML 2024), published state dicts.
"""

import re
from collections.abc import Iterable

from torch import Tensor

Names = tuple[tuple[str, str], ...]  # patterns of published names, and ours

_SHARED: Names = (
    (r"pos_embed", "position"),
    (r"patch_embed\.proj\.0\.(\w+)", r"embed.project.\1"),
    (r"patch_embed\.proj\.2\.(\w+)", r"embed.expand.\1"),
    (r"time_agg_layer\.w", "temporal.weight"),
    (r"time_agg_layer\.gamma", "temporal.gamma"),
    (r"scale_feats_mu\.(\w+)", r"shift_features.\1"),
    (r"scale_feats_sigma\.(\w+)", r"scale_features.\1"),
    (r"out_layer\.0\.weight", "head.unfold.weight"),
    (r"out_layer\.0\.bias", "head.unfold_bias"),
    (r"out_layer\.2\.(\w+)", r"head.hidden.\1"),
    (r"out_layer\.4\.(\w+)", r"head.project.\1"),
    (r"cls_head\.(\d+)\.(\w+)", r"classify.\1.\2"),
    (r"blocks\.(\d+)\.norm1\.(\w+)", r"blocks.\1.norm_space.\2"),
    (r"blocks\.(\d+)\.filter\.w1", r"blocks.\1.fourier.weight_in"),
    (r"blocks\.(\d+)\.filter\.b1", r"blocks.\1.fourier.bias_in"),
    (r"blocks\.(\d+)\.filter\.w2", r"blocks.\1.fourier.weight_out"),
    (r"blocks\.(\d+)\.filter\.b2", r"blocks.\1.fourier.bias_out"),
)

_MOE_POT: Names = (
    (r"blocks\.(\d+)\.norm2\.(\w+)", r"blocks.\1.norm_moe.\2"),
    (r"blocks\.(\d+)\.MoE\.feature_extractor\.conv\.0\.(\w+)", r"blocks.\1.moe.extract.\2"),
    (r"blocks\.(\d+)\.MoE\.shared_experts\.(\d+)\.conv\.0\.(\w+)", r"blocks.\1.moe.shared.\2.\3"),
    (r"blocks\.(\d+)\.MoE\.experts\.(\d+)\.conv\.0\.(\w+)", r"blocks.\1.moe.routed.experts.\2.\3"),
    (r"blocks\.(\d+)\.MoE\.gating\.gate\.0\.(\w+)", r"blocks.\1.moe.router.gate.widen.\2"),
    (r"blocks\.(\d+)\.MoE\.gating\.gate\.1\.(\w+)", r"blocks.\1.moe.router.gate.norm_wide.\2"),
    (
        r"blocks\.(\d+)\.MoE\.gating\.gate\.3\.fc\.0\.(\w+)",
        r"blocks.\1.moe.router.gate.attention_in.\2",
    ),
    (
        r"blocks\.(\d+)\.MoE\.gating\.gate\.3\.fc\.2\.(\w+)",
        r"blocks.\1.moe.router.gate.attention_out.\2",
    ),
    (r"blocks\.(\d+)\.MoE\.gating\.gate\.4\.(\w+)", r"blocks.\1.moe.router.gate.narrow.\2"),
    (r"blocks\.(\d+)\.MoE\.gating\.gate\.5\.(\w+)", r"blocks.\1.moe.router.gate.norm_narrow.\2"),
    (r"blocks\.(\d+)\.MoE\.gating\.gate\.7\.(\w+)", r"blocks.\1.moe.router.gate.score.\2"),
)

_DPOT: Names = (
    (r"blocks\.(\d+)\.norm2\.(\w+)", r"blocks.\1.norm_mlp.\2"),
    (r"blocks\.(\d+)\.mlp\.0\.(\w+)", r"blocks.\1.widen.\2"),
    (r"blocks\.(\d+)\.mlp\.2\.(\w+)", r"blocks.\1.narrow.\2"),
)


def our_name(published: str, model_type: str) -> str:
    """Our name of a published tensor.

    Args:
        published: its name in the published state dict.
        model_type: moe_pot or dpot.

    Raises:
        KeyError: the name is none of the published network's.
    """
    for pattern, ours in (*_SHARED, *(_MOE_POT if model_type == "moe_pot" else _DPOT)):
        if re.fullmatch(pattern, published):
            return re.sub(pattern, ours, published)
    raise KeyError(published)


def from_published(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for `MoEPOT` or `DPOT` from one of the published networks.

    Args:
        weights: tensors by published name, convolutions (out, in, k, k).

    Returns:
        Tensors by our name and shape; MoE-POT's training step is not among them.

    Raises:
        KeyError: a name is none of the published network's.
    """
    kind = published_type(weights)
    ours = {name: our_name(name, kind) for name in weights}
    return {ours[name]: _reshaped(ours[name], tensor) for name, tensor in weights.items()}


def published_type(names: Iterable[str]) -> str:
    """Which of the two networks some published names are of: moe_pot or dpot."""
    return "moe_pot" if any(".MoE." in name for name in names) else "dpot"


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    if name == "position":
        return tensor.permute(0, 2, 3, 1).contiguous()
    if name == "temporal.gamma":
        return tensor.flatten()
    if name == "head.unfold.weight":  # (D, between, P, P) -> (P * P * between, D)
        return tensor.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    return (
        tensor.flatten(1)
        if tensor.ndim == 4 and name.endswith("weight") and ("fourier" not in name)
        else tensor
    )
