"""Architectures by name: plain configuration values in, a module out.

A new one is a file beside this one and its entry in `ARCHITECTURES`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar

import torch
from pydantic import PlainValidator, SerializeAsAny

from data_shards.errors import UserError, unknown_name
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.work import solve_work
from foundation.models import (
    dpot,
    flow_tokenizer,
    fno,
    moe_fno,
    moe_pot,
    pg_moe,
    shodh_moe,
    unet,
)
from foundation.models.config import FieldConfig
from foundation.models.network import FieldNetwork
from foundation.models.work import Work
from foundation.nn.counted import at_most
from foundation.nn.initialise import initialise

ConfigT = TypeVar("ConfigT", bound=FieldConfig)


@dataclass(frozen=True)
class Architecture(Generic[ConfigT]):
    """One kind of network.

    Attributes:
        config: everything that decides its shape and function; `model_type` is its name.
        network: made from such a configuration.
        work: what a forward pass on one sample costs, without making it.
    """

    config: type[ConfigT]
    network: Callable[[ConfigT], FieldNetwork]
    work: Callable[[ConfigT], Work]


ARCHITECTURES: dict[str, Architecture[Any]] = {
    "moe_pot": Architecture(moe_pot.MoEPOTConfig, moe_pot.MoEPOT, moe_pot.work),
    "dpot": Architecture(dpot.DPOTConfig, dpot.DPOT, dpot.work),
    "fno": Architecture(fno.FNOConfig, fno.FNO, fno.work),
    "moe_fno": Architecture(moe_fno.MoEFNOConfig, moe_fno.MoEFNO, moe_fno.work),
    "unet": Architecture(unet.UNetConfig, unet.UNet, unet.work),
    "flow_tokenizer": Architecture(
        flow_tokenizer.FlowTokenizerConfig, flow_tokenizer.FlowTokenizer, flow_tokenizer.work
    ),
    "shodh_moe": Architecture(shodh_moe.ShodhMoEConfig, shodh_moe.ShodhMoE, shodh_moe.work),
    "pg_moe": Architecture(pg_moe.PGMoEConfig, pg_moe.PGMoE, pg_moe.work),
}


def architecture_names() -> list[str]:
    """Names that `model_type` takes."""
    return sorted(ARCHITECTURES)


def read_model_config(values: Any, where: str) -> FieldConfig:
    """Validate the `model` part of a run or checkpoint configuration.

    Raises:
        UserError: not a mapping, an unknown architecture, or a value out of range.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: model is {values!r}, wanted a mapping of settings")
    name = values.get("model_type", "moe_pot")
    if name not in architecture_names():
        raise unknown_name("model_type", str(name), ARCHITECTURES)
    config: FieldConfig = ARCHITECTURES[name].config.read(values, where)
    return config


def _of_its_type(values: Any) -> FieldConfig:
    if isinstance(values, FieldConfig):
        return values
    try:
        return read_model_config(values, "model")
    except UserError as error:
        raise ValueError(str(error)) from None


# That of any architecture, wherever one stands in another configuration.
ModelConfig = Annotated[SerializeAsAny[FieldConfig], PlainValidator(_of_its_type)]


def work_of(config: ModelConfig) -> Work:
    """Work of a forward pass on one sample."""
    work = ARCHITECTURES[config.model_type].work(config)
    return work if config.constraint is None else _constrained(work, config, config.constraint)


def _constrained(work: Work, config: ModelConfig, constraint: ConstraintConfig) -> Work:
    """With the work of the constraint besides."""
    space = config.grid[-constraint.evolution.dimensions :]
    boxes = solve_work(constraint, (config.out_frames + 1, *space))
    return replace(
        work,
        kept=work.kept + boxes.kept,
        between=work.between + boxes.kept,
        depth=work.depth + boxes.depth(constraint.solver.iterations),
        solved=boxes.forward(constraint.solver.iterations),
        solved_back=boxes.back,
        boxed=boxes.boxes * (boxes.sent + boxes.answered),
    )


def outline_model(config: ModelConfig, most_parts: int | None = None) -> FieldNetwork:
    """A module without memory, for counting.

    Args:
        config: of the architecture.
        most_parts: of modules, parameters and buffers together.

    Raises:
        TooManyPartsError: it takes more; what is built until then is little.
    """
    bound: AbstractContextManager[None] = nullcontext()
    if most_parts is not None:
        bound = at_most(most_parts)
    with torch.device("meta"), bound:
        return ARCHITECTURES[config.model_type].network(config)


def build_model(config: ModelConfig, seed: int | None = None) -> FieldNetwork:
    """A module on the CPU in float32.

    Args:
        config: of the architecture.
        seed: of the initial weights; None leaves memory uninitialised, for loading.

    Raises:
        UserError: the network does not say how some of its numbers start, or ties parameters.
    """
    outline = outline_model(config)
    count = len(list(outline.parameters()))
    model = outline.to_empty(device="cpu")
    if len(list(model.parameters())) > count:
        raise UserError(
            f"{config.model_type}: modules share a parameter, which memory of their own parts; "
            "call one module from both places instead"
        )
    unsaved = dict(model.named_buffers()).keys() - model.state_dict().keys()
    if seed is not None or unsaved:  # which no checkpoint would fill
        initialise(model, seed or 0)
    return model
