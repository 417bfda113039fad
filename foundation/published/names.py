"""Published MoE-POT and DPOT weights: their names and shapes in, ours out, and back.

The published networks are made of 1 x 1 and patch convolutions; ours of linear
maps over the last axis, which hold the same numbers in another order.
Axes: D width, h, w patches, P patch size.
Source: MoE-POT (NeurIPS 2025) and DPOT (ICML 2024), published state dicts.
"""

import re
from collections.abc import Iterable

from torch import Tensor

from foundation.models.operator_transformer import OperatorTransformerConfig

# Published names and ours; # stands for a number, * for a word.
_Names = tuple[tuple[str, str], ...]

_SHARED: _Names = (
    ("pos_embed", "position"),
    ("patch_embed.proj.0.*", "embed.project.*"),
    ("patch_embed.proj.2.*", "embed.expand.*"),
    ("time_agg_layer.w", "temporal.weight"),
    ("time_agg_layer.gamma", "temporal.gamma"),
    ("scale_feats_mu.*", "shift_features.*"),
    ("scale_feats_sigma.*", "scale_features.*"),
    ("out_layer.0.weight", "head.unfold.weight"),
    ("out_layer.0.bias", "head.unfold_bias"),
    ("out_layer.2.*", "head.hidden.*"),
    ("out_layer.4.*", "head.project.*"),
    ("cls_head.#.*", "classify.#.*"),
    ("blocks.#.norm1.*", "blocks.#.norm_space.*"),
    ("blocks.#.filter.w1", "blocks.#.fourier.weight_in"),
    ("blocks.#.filter.b1", "blocks.#.fourier.bias_in"),
    ("blocks.#.filter.w2", "blocks.#.fourier.weight_out"),
    ("blocks.#.filter.b2", "blocks.#.fourier.bias_out"),
)

_MOE_POT: _Names = (
    *_SHARED,
    ("blocks.#.norm2.*", "blocks.#.norm_moe.*"),
    ("blocks.#.MoE.feature_extractor.conv.0.*", "blocks.#.moe.extract.*"),
    ("blocks.#.MoE.shared_experts.#.conv.0.*", "blocks.#.moe.shared.#.*"),
    ("blocks.#.MoE.experts.#.conv.0.*", "blocks.#.moe.routed.experts.#.*"),
    ("blocks.#.MoE.gating.gate.0.*", "blocks.#.moe.router.gate.widen.*"),
    ("blocks.#.MoE.gating.gate.1.*", "blocks.#.moe.router.gate.norm_wide.*"),
    ("blocks.#.MoE.gating.gate.3.fc.0.*", "blocks.#.moe.router.gate.attention_in.*"),
    ("blocks.#.MoE.gating.gate.3.fc.2.*", "blocks.#.moe.router.gate.attention_out.*"),
    ("blocks.#.MoE.gating.gate.4.*", "blocks.#.moe.router.gate.narrow.*"),
    ("blocks.#.MoE.gating.gate.5.*", "blocks.#.moe.router.gate.norm_narrow.*"),
    ("blocks.#.MoE.gating.gate.7.*", "blocks.#.moe.router.gate.score.*"),
)

_DPOT: _Names = (
    *_SHARED,
    ("blocks.#.norm2.*", "blocks.#.norm_mlp.*"),
    ("blocks.#.mlp.0.*", "blocks.#.widen.*"),
    ("blocks.#.mlp.2.*", "blocks.#.narrow.*"),
)

# Maps that the published networks have as linear ones too, not as 1 x 1 convolutions.
_LINEAR = ("classify.", "shift_features.", "scale_features.")


def our_name(published: str, model_type: str) -> str:
    """Our name of a published tensor.

    Args:
        published: its name in the published state dict.
        model_type: moe_pot or dpot.

    Raises:
        KeyError: the name is none of the published network's.
    """
    return _renamed(published, _names(model_type))


def published_name(ours: str, model_type: str) -> str:
    """The published name of one of our tensors.

    Args:
        ours: its name in the state dict of `MoEPOT` or `DPOT`.
        model_type: moe_pot or dpot.

    Raises:
        KeyError: the published network has no such tensor.
    """
    return _renamed(ours, ((ours, theirs) for theirs, ours in _names(model_type)))


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
    return {ours[name]: _as_ours(ours[name], tensor) for name, tensor in weights.items()}


def to_published(
    weights: dict[str, Tensor], config: OperatorTransformerConfig
) -> dict[str, Tensor]:
    """The published state dict of one of our networks, the inverse of `from_published`.

    Args:
        weights: tensors by our name; MoE-POT's training step is left out.
        config: of the network.

    Raises:
        KeyError: the published network has no such tensor.
    """
    return {
        published_name(name, config.model_type): _as_published(name, tensor, config)
        for name, tensor in weights.items()
        if name != "training_step"
    }


def published_type(names: Iterable[str]) -> str:
    """Which of the two networks some published names are of: moe_pot or dpot."""
    return "moe_pot" if any(".MoE." in name for name in names) else "dpot"


def _names(model_type: str) -> _Names:
    return _MOE_POT if model_type == "moe_pot" else _DPOT


def _renamed(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    for pattern, other in pairs:
        # No shape has two numbers or words in another order on the other side.
        expression = re.escape(pattern).replace(r"\#", r"(\d+)").replace(r"\*", r"(\w+)")
        if found := re.fullmatch(expression, name):
            return re.sub(r"[#*]", "{}", other).format(*found.groups())
    raise KeyError(name)


def _as_ours(name: str, tensor: Tensor) -> Tensor:
    if name == "position":  # (1, D, h, w) -> (1, h, w, D)
        return tensor.permute(0, 2, 3, 1).contiguous()
    if name == "temporal.gamma":
        return tensor.flatten()
    if name == "head.unfold.weight":  # (D, between, P, P) -> (P * P * between, D)
        return tensor.permute(2, 3, 1, 0).flatten(0, 2).contiguous()
    is_convolution = tensor.ndim == 4 and name.endswith("weight") and "fourier" not in name
    return tensor.flatten(1) if is_convolution else tensor


def _as_published(name: str, tensor: Tensor, config: OperatorTransformerConfig) -> Tensor:
    patch = config.patch
    if name == "position":
        return tensor.permute(0, 3, 1, 2).contiguous()
    if name == "temporal.gamma":
        return tensor[None]
    if name == "head.unfold.weight":
        by_pixel = tensor.reshape(patch, patch, config.head_width, -1)
        return by_pixel.permute(3, 2, 0, 1).contiguous()
    if name == "embed.project.weight":
        return tensor.reshape(-1, config.channels + 3, patch, patch)
    is_convolution = tensor.ndim == 2 and not name.startswith(_LINEAR)
    return tensor[:, :, None, None] if is_convolution else tensor
