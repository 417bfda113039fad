"""How a run is spread over ranks, in plain values: no process group, no DeepSpeed."""

from math import gcd
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from data_shards.config import Config, later
from data_shards.errors import UserError
from data_shards.untrusted import parse_json, read_text

Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class Layout(Config):
    """What decides the form of a checkpoint's files."""

    world: int
    ep_size: int
    zero_stage: int
    bf16: bool
    # Whether optimisers saw the experts of a block one by one, as before there were stacks.
    experts: Literal["apart", "stacked"] = later("apart")


class OptimiserConfig(Config):
    """Adam; the learning rate at its peak, in the paper's values."""

    lr: NonNegativeFloat = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.9)
    eps: NonNegativeFloat = 1e-8
    weight_decay: NonNegativeFloat = 1e-6
    # Of the weights themselves (AdamW), or added to the gradient, as published: there Adam divides
    # the decay by its own size where the gradient is nothing, so that an idle expert soon is, too.
    decay: Literal["decoupled", "gradient"] = later("decoupled")


class StepConfig(Config):
    """What one optimiser step consists of."""

    micro_batch: PositiveInt = 10  # samples per rank and forward
    accumulation: PositiveInt = 1  # forwards per step
    clip: NonNegativeFloat = 0.0  # of the global gradient norm; 0 is off, as published
    optimiser: OptimiserConfig = OptimiserConfig()


def check_layout(
    num_experts: int, world: int, ep_size: int, experts: str = "routed experts"
) -> None:
    """Refuse an expert-parallel size that fits neither the ranks nor the experts.

    Args:
        num_experts: of what is spread.
        world: ranks.
        ep_size: ranks that share one set.
        experts: what they are, for the message.

    Raises:
        UserError: `ep_size` does not divide `world` or `num_experts`.
    """
    for what, whole in (("ranks", world), (experts, num_experts)):
        if ep_size < 1 or whole % ep_size:
            common = gcd(world, num_experts)
            fitting = [n for n in range(1, common + 1) if common % n == 0]
            raise UserError(
                f"ep_size={ep_size} does not divide the {whole} {what}; "
                f"choose one of {', '.join(map(str, fitting))}"
            )


def read_deepspeed_config(path: Path) -> dict[str, Any]:
    """The JSON file as it is.

    Raises:
        UserError: no such file, or not a JSON object.
    """
    try:
        values = parse_json(read_text(path), str(path))
    except FileNotFoundError:
        known = sorted(p.name for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        hint = f"; that folder holds {', '.join(known)}" if known else ""
        raise UserError(f"{path}: no such DeepSpeed configuration{hint}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds {type(values).__name__}, wanted an object")
    return values
