"""Shapes tell a published network's configuration; arguments must agree with them."""

import re
import resource

import pytest
from architectures import config_of

from data_shards.errors import UserError
from foundation.models.registry import outline_model, read_model_config
from foundation.published.published_config import (
    Told,
    check_publishable,
    infer_config,
    published_args,
    published_shapes,
)
from foundation.train.config import load_run_config

# Millions of parameters that the two papers state, to the digits that they give.
PUBLISHED = {
    "tiny": 30.2,
    "small": 166.3,
    "medium": 489.6,
    "dpot_tiny": 7.5,
    "dpot_small": 30.8,
    "dpot_medium": 122.1,
    "dpot_large": 509.0,
    "dpot_huge": 1031.1,
}
AS_PUBLISHED = {"moe_pot": {"router": {"gate_norm": "batch"}}, "dpot": {}}


def published(name, **options):
    return config_of(name, **AS_PUBLISHED[name], **options)


def inferred(config, args=None, told=None, **changes):
    shapes = {**published_shapes(config), **changes}
    shapes = {name: shape for name, shape in shapes.items() if shape is not None}
    return infer_config(shapes, args, told or Told(), "model.pth")


def refusal(*arguments, **changes):
    with pytest.raises(UserError, match=r"^model\.pth: ") as raised:
        inferred(*arguments, **changes)
    return str(raised.value)


@pytest.mark.parametrize(("preset", "millions"), PUBLISHED.items())
def test_full_sizes_are_told_by_shapes_alone_and_take_no_memory(preset, millions):
    values = load_run_config(preset, []).model.model_dump()
    if values["model_type"] == "moe_pot":
        values["router"]["gate_norm"] = "batch"
    config = read_model_config(values, preset)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    found = inferred(config).config
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found == config
    assert round(outline_model(found).parameter_counts().total / 1e6, 1) == millions
    # The smallest has 30 MB of weights and the largest 4 GB; what grows is imported code.
    assert grown < 100 * 1024


@pytest.mark.parametrize("name", AS_PUBLISHED)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"instance_norm": True},
        {"time_aggregation": "mlp"},
        {"out_frames": 3, "channels": 2, "context_frames": 4},
        {"heads": 4, "mlp_ratio": 3, "num_classes": 12, "resolution": 24},
    ],
)
def test_every_setting_comes_back_from_shapes_and_args(name, options):
    config = published(name, modes=5, **options)
    assert inferred(config, published_args(config)).config == config


@pytest.mark.parametrize("name", AS_PUBLISHED)
@pytest.mark.parametrize("aggregation", ["mlp", "exp_mlp"])
def test_tensors_alone_tell_how_frames_are_aggregated(name, aggregation):
    config = published(name, modes=32, time_aggregation=aggregation)
    assert inferred(config).config == config
    other = {"mlp": "exp_mlp", "exp_mlp": "mlp"}[aggregation]
    assert f"args.time_agg='{other}'" in refusal(config, {"time_agg": other})


def test_what_shapes_cannot_tell_is_asked_for_then_argued_then_published():
    config = published("moe_pot")
    assert inferred(config).origins == {
        "modes": (32, "published value"),
        "router.top_k": (4, "published value"),
        "act": ("gelu", "published value"),
    }
    args = {"modes": 3, "top_k": 2, "act": "gelu"}
    found = inferred(config, args)
    assert found.config.modes == 3
    assert found.config.router.top_k == 2
    assert {origin for value, origin in found.origins.values()} == {"args"}
    told = inferred(config, args, Told(modes=7, top_k=1))
    assert told.config.modes == 7
    assert told.config.router.top_k == 1
    assert told.origins["modes"] == (7, "option")


def test_a_dense_network_is_told_nothing_of_experts():
    assert "top_k" in refusal(published("dpot"), None, Told(top_k=2))


@pytest.mark.parametrize("name", AS_PUBLISHED)
@pytest.mark.parametrize("field", sorted(published_args(published("dpot")).keys() - {"modes"}))
def test_arguments_of_another_network_are_refused_by_name(name, field):
    config = published(name)
    right = published_args(config)
    wrong = "silu" if field == "act" else right[field] + 1
    assert f"args.{field}={wrong}".replace("silu", "'silu'") in refusal(
        config, {**right, field: wrong}
    )


@pytest.mark.parametrize("value", ["8", [8], float("nan"), float("inf"), 8.5])
def test_an_argument_that_is_no_whole_number_is_refused(value):
    assert "whole number" in refusal(published("dpot"), {"modes": value})


def test_numbers_of_other_types_are_numbers():
    config = published("dpot", instance_norm=True)
    args = {"mlp_ratio": 2.0, "normalize": True, "modes": 32.0, "n_layers": None}
    assert inferred(config, args).config == config


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_any_missing_or_misshapen_tensor_is_named(name):
    config = published(name)
    shapes = published_shapes(config)
    one_of_each_kind = set({re.sub(r"\d+", "", tensor): tensor for tensor in shapes}.values())
    for tensor in one_of_each_kind - {"time_agg_layer.gamma"}:  # one without it is another network
        shape = shapes[tensor]
        assert "missing" in refusal(config, **{tensor: None}), tensor
        if shape:
            said = refusal(config, **{tensor: (*shape[:-1], shape[-1] + 1)})
            assert "wanted" in said or "published network" in said, tensor


@pytest.mark.parametrize("extra", ["blocks.0.extra", "encoder.weight", "blocks.1.MoE2", "a\nb"])
def test_extra_tensors_are_named(extra):
    said = refusal(published("dpot"), **{extra: (3,)})
    assert "\n" not in said
    assert f"tensor {extra!r}: unknown to dpot" in said


def test_a_gap_between_blocks_is_named():
    assert "blocks.2 are missing" in refusal(published("dpot"), **{"blocks.3.norm1.bias": (16,)})


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        ("pos_embed", (1, 1 << 40, 4, 4)),
        ("pos_embed", (1, 0, 4, 4)),
        ("pos_embed", (1, 16, 4, 8)),
        ("patch_embed.proj.0.weight", (19, 3, 4, 4)),
        ("time_agg_layer.w", (1 << 50, 16, 16)),
        ("blocks.0.filter.w1", (2, 0, 8, 8)),
        ("out_layer.4.weight", (5, 8, 1, 1)),
        ("blocks.0.mlp.0.weight", (33, 16, 1, 1)),
        ("cls_head.4.weight", (1 << 20, 16)),
    ],
)
def test_absurd_sizes_are_refused(tensor, shape):
    refusal(published("dpot"), **{tensor: shape})


def test_many_numbered_names_do_not_make_many_blocks():
    many = {f"blocks.{number}.norm1.weight": (16,) for number in range(2, 5000)}
    assert "missing" in refusal(published("dpot"), **many)
    experts = {f"blocks.0.MoE.experts.{n}.conv.0.bias": (16,) for n in range(16, 5000)}
    assert "missing" in refusal(published("moe_pot"), **experts)


@pytest.mark.parametrize(
    ("name", "options", "setting"),
    [
        ("fno", {}, "model_type=fno"),
        ("unet", {}, "model_type=unet"),
        ("dpot", {"target": "increment"}, "target=increment"),
        ("moe_pot", {}, "router.gate_norm=layer"),
        ("moe_pot", {"router": {"gate_norm": "batch", "top_k": 2}}, "router.top_k=2"),
        ("moe_pot", {"router": {"gate_norm": "batch"}, "num_shared": 0}, "num_shared=0"),
        (
            "moe_pot",
            {"router": {"gate_norm": "batch", "temperature": {"floor": 1.0}}},
            "router.temperature.floor=1.0",
        ),
    ],
)
def test_what_the_published_layout_cannot_hold_is_refused_by_name(name, options, setting):
    with pytest.raises(UserError, match=setting):
        check_publishable(config_of(name, **options), "runs/model")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("sees", "context"), ("unit", "token"), ("gate", "prototypes"), ("weights", "probability")],
)
def test_a_router_that_the_published_layout_cannot_hold_is_refused_by_name(setting, value):
    config = published("moe_pot")
    router = config.router.model_copy(update={setting: value})
    changed = config.model_copy(update={"router": router})
    with pytest.raises(UserError, match=rf"router\.{setting}={value}, which the published"):
        check_publishable(changed, "here")
