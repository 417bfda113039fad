"""Where a sample comes from: what is known of its trajectory beside the fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """What is known of one trajectory beside its fields.

    Attributes:
        dt_s: time between frames.
        extent: x_min, x_max, y_min, y_max[, z_min, z_max] of the domain.
        parameters: numbers by name; those of the PDE.
        boundary: boundary condition of the sides, by name of the side.
    """

    dt_s: float = 1.0
    extent: tuple[float, ...] = (0.0, 1.0, 0.0, 1.0)
    parameters: Mapping[str, float] | None = None
    boundary: Mapping[str, str] | None = None


def origin_from(metadata: Mapping[str, Any], fixed: Mapping[str, float]) -> Origin:
    """What a shard says of a trajectory; of its parameters those that are numbers.

    Args:
        metadata: from `ShardedCorpus.metadata`.
        fixed: parameters that have one value on the card, for trajectories that do not say them.
    """
    own = {
        name: float(value)
        for name, value in metadata["parameters"].items()
        if isinstance(value, int | float)
    }
    return Origin(
        metadata["dt_s"], tuple(metadata["extent"]), {**fixed, **own}, metadata["boundary"]
    )
