"""A cluster in ten numbers: a shipped name or a YAML file in, a checked description out.

Every GPU has a port of its own into the node's fabric and one into the network between nodes,
so that what all GPUs of a node send at once does not share a wire. Where they do share one,
multiply `between.beta_s_per_byte` by the GPUs that share it.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from data_shards.config import Config, later, read_yaml
from data_shards.errors import UserError, unknown_name

_SUFFIXES = (".yaml", ".yml")


class Link(Config):
    """The alpha-beta model of a connection: a message of n bytes takes alpha + beta n.

    Source: Hockney, Parallel Computing 20 (1994) 389.
    """

    alpha_s: NonNegativeFloat  # seconds per message, however short
    beta_s_per_byte: NonNegativeFloat  # seconds per byte that one GPU sends, one way

    def seconds(self, messages: float, sent_bytes: float) -> float:
        """Of messages that follow each other and hold so many bytes together."""
        return messages * self.alpha_s + sent_bytes * self.beta_s_per_byte


class Cluster(Config):
    """Nodes alike, of GPUs alike."""

    source: str = Field(min_length=1)  # where the figures come from; printed beside every forecast
    gpus_per_node: PositiveInt
    memory_bytes: PositiveInt  # per GPU, for tensors
    memory_bytes_per_s: PositiveFloat  # per GPU
    peak_bf16_flops: PositiveFloat  # FLOP/s per GPU, dense products
    peak_fp32_flops: PositiveFloat
    attained_share: float = Field(gt=0.0, le=1.0)  # of the peak, by a whole large step
    launch_s_per_block: NonNegativeFloat  # of forward and backward, whatever the batch
    # Of what is around the blocks and of the engine; 0 where the blocks' seconds hold it.
    launch_s_per_step: NonNegativeFloat = later(0.0)
    inside: Link  # between GPUs of a node
    between: Link | None = None  # between nodes; None: not known, one node only
    rounds: Literal["ring", "tree"] = "ring"  # of a reduction between nodes: their number, its log2

    def flops_per_s(self, bf16: bool) -> float:
        """What a GPU attains in a whole step, launches apart."""
        return self.attained_share * (self.peak_bf16_flops if bf16 else self.peak_fp32_flops)


def cluster_names() -> list[str]:
    """Names of the shipped descriptions."""
    entries = (files("foundation") / "presets" / "clusters").iterdir()
    return sorted(e.name.removesuffix(".yaml") for e in entries if e.name.endswith(".yaml"))


def cluster_values(name: str) -> dict[str, Any]:
    """Plain values of a cluster, to be overridden and then read by `Cluster.read`.

    Args:
        name: one of `cluster_names`, or the path of a YAML file.

    Raises:
        UserError: neither of them (with the nearest names), or a file without keys.
    """
    if name.endswith(_SUFFIXES):
        values = read_yaml(Path(name))
        if not isinstance(values, dict):
            raise UserError(f"{name}: holds {type(values).__name__}, wanted keys and values")
        return values
    if name not in cluster_names():
        raise unknown_name("cluster", name, [*cluster_names(), "FILE.yaml"])
    text = (files("foundation") / "presets" / "clusters" / f"{name}.yaml").read_text()
    shipped: dict[str, Any] = yaml.safe_load(text)
    return shipped
