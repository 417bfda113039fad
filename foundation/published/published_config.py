"""Configurations of published networks: tensor shapes and `args` in, our configuration out; back.

Axes: C channels, T frames, D width, F hidden width, P patch size, h, w patches,
G heads, S = D / G, E routed experts.
What shapes tell is taken from them, and `args` must agree. What they cannot
tell is asked for, or taken from `args`, or is the published value; which of
the three is recorded.
Source: MoE-POT (NeurIPS 2025) and DPOT (ICML 2024), published code and
checkpoints. DPOT's own training script builds its network with 32 modes
whatever `args.modes` says; from 16 on the two agree, as there are 16 rows.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import PositiveInt

from data_shards.config import Config
from data_shards.errors import UserError
from foundation.models.dpot import DPOTConfig
from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.registry import ModelConfig, outline_model, read_model_config
from foundation.published.names import our_name, published_type, to_published
from foundation.published.sources import PUBLISHED_MODES, PUBLISHED_TOP_K

Shape = tuple[int, ...]
PublishedConfig = MoEPOTConfig | DPOTConfig
Origin = Literal["option", "args", "published value"]

PUBLISHED_AGGREGATION = "exp_mlp"
_FREQUENCIES = "time_agg_layer.gamma"  # the plain aggregation, "mlp", has none
_PUBLISHED_ACTIVATION = "gelu"
_LARGEST = 1 << 16  # of any one size; the largest published one is 8192

# Fields of `args`, and where the configuration has the same.
_ARGS: tuple[tuple[str, Callable[[PublishedConfig], int]], ...] = (
    ("res", lambda config: config.resolution),
    ("patch_size", lambda config: config.patch),
    ("width", lambda config: config.width),
    ("n_layers", lambda config: config.blocks),
    ("n_blocks", lambda config: config.heads),
    ("mlp_ratio", lambda config: config.mlp_ratio),
    ("T_in", lambda config: config.context_frames),
    ("T_bundle", lambda config: config.out_frames),
    ("out_layer_dim", lambda config: config.head_width),
    ("normalize", lambda config: int(config.instance_norm)),
)


class Told(Config):
    """What a user says of a file that its shapes cannot tell; None: go by the file."""

    modes: PositiveInt | None = None
    top_k: PositiveInt | None = None


@dataclass(frozen=True)
class Inferred:
    """A configuration, and where it has what shapes cannot tell.

    Attributes:
        config: of the network.
        shown: settings that the tensors show.
        origins: of all others, by setting, the value and who says so.
    """

    config: PublishedConfig
    shown: tuple[str, ...]
    origins: dict[str, tuple[Any, Origin]]


def infer_config(
    shapes: Mapping[str, Shape], args: Mapping[str, Any] | None, told: Told, where: str
) -> Inferred:
    """The configuration of a published network; no tensor is made.

    Args:
        shapes: of all tensors by published name.
        args: the authors' command line, if there is one.
        told: what the user says, which goes before `args`.
        where: what is being read, for messages.

    Raises:
        UserError: tensors are missing, strange or misshapen, or `args` contradict them.
    """
    args = args or {}
    kind = published_type(shapes)
    _check_known(shapes, kind, where)
    values = {"model_type": kind} | _sizes(_Shapes(shapes, where), kind)
    values["time_aggregation"] = _aggregation(shapes, args, where)
    shown = _flat(values)
    origins: dict[str, tuple[Any, Origin]] = {}
    origins["modes"] = _unseen(told.modes, args, "modes", PUBLISHED_MODES, where)
    if kind == "moe_pot":
        origins["router.top_k"] = _unseen(told.top_k, args, "top_k", PUBLISHED_TOP_K, where)
        values["router"] |= {"top_k": origins["router.top_k"][0]}
    elif told.top_k is not None:
        raise UserError(f"{where}: a DPOT network, which routes nothing; top_k says nothing to it")
    origins["act"] = _activation(args, where)
    config = read_model_config(values | {"modes": origins["modes"][0]}, where)
    assert isinstance(config, PublishedConfig)
    _check_shapes(shapes, config, where)
    _check_args(args, config, where)
    return Inferred(config, shown, origins)


def published_shapes(config: PublishedConfig) -> dict[str, Shape]:
    """Shapes of all tensors of a published network, by published name; no memory is taken."""
    outline = to_published(outline_model(config).state_dict(), config)
    return {name: tuple(tensor.shape) for name, tensor in outline.items()}


def published_args(config: PublishedConfig) -> dict[str, Any]:
    """The fields of the authors' command line that decide a network."""
    fields: dict[str, Any] = {name: value_of(config) for name, value_of in _ARGS}
    fields |= {"modes": config.modes, "act": _PUBLISHED_ACTIVATION}
    if config.time_aggregation != PUBLISHED_AGGREGATION:
        fields["time_agg"] = config.time_aggregation
    return fields


def check_publishable(config: ModelConfig, where: str) -> PublishedConfig:
    """The same configuration, if the published layout can hold all that it says.

    Raises:
        UserError: it cannot; the message names the setting.
    """
    if not isinstance(config, PublishedConfig):
        raise UserError(
            f"{where}: model_type={config.model_type}; published layouts are those of moe_pot "
            "and dpot"
        )
    faults: list[tuple[str, Any, Any]] = [("target", config.target, "frame")]
    if isinstance(config, MoEPOTConfig):
        router = config.router
        faults += [
            ("router.by", router.by, "gate"),
            ("router.sees", router.sees, "features"),
            ("router.unit", router.unit, "sample"),
            ("router.gate", router.gate, "mlp"),
            ("router.weights", router.weights, "chosen"),
            ("router.gate_norm", router.gate_norm, "batch"),
            ("router.top_k", router.top_k, PUBLISHED_TOP_K),
            ("router.temperature.floor", router.temperature.floor, 0.5),
        ]
        if not config.num_shared:
            faults.append(("num_shared", 0, "1 or more"))
    for setting, came, holds in faults:
        if came != holds:
            raise UserError(
                f"{where}: {setting}={came}, which the published layout cannot hold; it means "
                f"{setting}={holds}"
            )
    return config


def _sizes(shape: "_Shapes", kind: str) -> dict[str, Any]:
    """All settings that shapes tell."""
    _, width, rows, columns = shape.of("pos_embed", "1Dhw")
    _, fields, patch, _ = shape.of("patch_embed.proj.0.weight", "FCPP")
    channels = fields - 3  # with the coordinates x, y, t
    frames = shape.of("time_agg_layer.w", "TDD")[0]
    heads = shape.of("blocks.0.filter.w1", "2GSS")[1]
    inner = "MoE.feature_extractor.conv" if kind == "moe_pot" else "mlp"
    hidden = shape.of(f"blocks.0.{inner}.0.weight", "FD11")[0]
    answers = shape.of("out_layer.4.weight", "F011")[0]
    shape.demand(rows == columns, f"pos_embed is for {rows} x {columns} patches, wanted a square")
    shape.demand(channels > 0, f"patch_embed takes {fields} channels, wanted 4 or more")
    for what, whole, part in (
        ("hidden width by width", hidden, width),
        (f"outputs by {channels} channels", answers, channels),
    ):
        shape.demand(whole % part == 0, f"{what}: {whole} is not divisible by {part}")
    values: dict[str, Any] = {
        "resolution": rows * patch,
        "patch": patch,
        "channels": channels,
        "context_frames": frames,
        "out_frames": answers // channels,
        "width": width,
        "heads": heads,
        "mlp_ratio": hidden // width,
        "blocks": shape.count(r"blocks\.(\d+)\..+"),
        "head_width": shape.of("out_layer.0.weight", "D0PP")[1],
        "num_classes": shape.of("cls_head.4.weight", "0D")[0],
        "instance_norm": "scale_feats_mu.weight" in shape.shapes,
    }
    shape.demand_equal_blocks()
    if kind == "moe_pot":
        values["num_shared"] = shape.count(r"blocks\.0\.MoE\.shared_experts\.(\d+)\..+")
        experts = shape.count(r"blocks\.0\.MoE\.experts\.(\d+)\..+")
        values["router"] = {"gate_norm": "batch", "num_experts": experts}
    return values


def _flat(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of all settings, those of the router with its name before them."""
    inner = (f"router.{name}" for name in values.get("router", {}))
    return (*(name for name in values if name != "router"), *inner)


class _Shapes:
    """Shapes by name, each asked for with the axes that it must have."""

    def __init__(self, shapes: Mapping[str, Shape], where: str) -> None:
        self.shapes = shapes
        self.where = where

    def of(self, name: str, axes: str) -> Shape:
        """Lengths of the axes; a digit other than 0 is a length, 0 and a letter any."""
        shape = self.shapes.get(name)
        self.demand(
            shape is not None,
            f"tensor {name} is missing; this is no MoE-POT and no DPOT, or not all of it",
        )
        assert shape is not None
        fits = len(shape) == len(axes) and all(
            1 <= length <= _LARGEST and axis in (str(length), *"0CDEFGPSThw")
            for axis, length in zip(axes, shape, strict=True)
        )
        self.demand(fits, f"tensor {name} is {shape}, which no published network has")
        return shape

    def count(self, pattern: str) -> int:
        """How many numbers stand in the names of a pattern: 0 to one less, without a gap."""
        numbers = {int(found[1]) for name in self.shapes if (found := re.fullmatch(pattern, name))}
        gaps = sorted(set(range(len(numbers))) - numbers)
        what = pattern.replace("\\", "").partition("(")[0]
        self.demand(not gaps, f"tensors {what}{gaps[0] if gaps else ''} are missing")
        return len(numbers)

    def demand_equal_blocks(self) -> None:
        """Every block has the same tensors, so that there are not more of them than names."""
        blocks: dict[str, set[str]] = {}
        for name in self.shapes:
            if found := re.fullmatch(r"blocks\.(\d+)\.(.+)", name):
                blocks.setdefault(found[1], set()).add(found[2])
        for number, names in blocks.items():
            for odd in sorted(names ^ blocks["0"])[:1]:
                lacks, has = (number, "0") if odd in blocks["0"] else ("0", number)
                raise UserError(
                    f"{self.where}: tensor blocks.{lacks}.{odd} is missing; block {has} has it"
                )

    def demand(self, holds: bool, fault: str) -> None:
        if not holds:
            raise UserError(f"{self.where}: {fault}")


def _unseen(
    told: int | None, args: Mapping[str, Any], name: str, published: int, where: str
) -> tuple[int, Origin]:
    """A setting that shapes cannot tell, and who says it."""
    if told is not None:
        return told, "option"
    if args.get(name) is not None:
        return _whole(args[name], name, where), "args"
    return published, "published value"


def _aggregation(shapes: Mapping[str, Shape], args: Mapping[str, Any], where: str) -> str:
    """How frames are put together: with the cosines whose frequencies are a tensor, or without."""
    found = PUBLISHED_AGGREGATION if _FREQUENCIES in shapes else "mlp"
    said = args.get("time_agg")
    if said in (None, found):
        return found
    has = "there" if _FREQUENCIES in shapes else "missing"
    raise UserError(
        f"{where}: args.time_agg={_shown(said)}, but tensor {_FREQUENCIES} is {has}, which is "
        f"time_agg={found}; arguments and weights are not of the same network"
    )


def _activation(args: Mapping[str, Any], where: str) -> tuple[str, Origin]:
    came = args.get("act")
    if came is None:
        return _PUBLISHED_ACTIVATION, "published value"
    if not isinstance(came, str) or came != _PUBLISHED_ACTIVATION:
        raise UserError(
            f"{where}: args.act={_shown(came)}; these networks have {_PUBLISHED_ACTIVATION} alone"
        )
    return _PUBLISHED_ACTIVATION, "args"


def _check_known(names: Iterable[str], kind: str, where: str) -> None:
    """Refuse names that no published network of a kind has, whatever its size."""
    for name in names:
        try:
            our_name(name, kind)
        except KeyError:
            raise UserError(f"{where}: tensor {name!r:.80}: unknown to {kind}") from None


def _check_shapes(shapes: Mapping[str, Shape], config: PublishedConfig, where: str) -> None:
    wanted = published_shapes(config)
    _refuse(wanted.keys() - shapes.keys(), "missing", where)
    _refuse(shapes.keys() - wanted.keys(), f"unknown to {config.model_type}", where)
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise UserError(
                f"{where}: tensor {name} is {shapes[name]}, wanted {shape} beside the others"
            )


def _refuse(names: Iterable[str], fault: str, where: str) -> None:
    if names := sorted(names):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise UserError(f"{where}: tensor {names[0]:.80}{more}: {fault}")


def _check_args(args: Mapping[str, Any], config: PublishedConfig, where: str) -> None:
    for name, value_of in _ARGS:
        if args.get(name) is None:
            continue
        said, shown = _whole(args[name], name, where), value_of(config)
        if said != shown:
            raise UserError(
                f"{where}: args.{name}={said}, its tensors say {shown}; arguments and weights "
                "are not of the same network"
            )


def _whole(value: Any, name: str, where: str) -> int:
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise UserError(f"{where}: args.{name}={_shown(value)}, wanted a whole number")


def _shown(value: Any) -> str:
    """A value in a message; what is no number and no word might be endless."""
    return f"{value!r:.40}" if isinstance(value, int | float | str) else type(value).__name__
