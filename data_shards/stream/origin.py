"""Where a sample comes from: what is known of its trajectory beside the fields."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """What is known of one trajectory beside its fields.

    Attributes:
        dt_s: time between frames.
        extent: x_min, x_max, y_min, y_max of the domain.
        parameters: numbers by name; those of the PDE.
    """

    dt_s: float = 1.0
    extent: tuple[float, ...] = (0.0, 1.0, 0.0, 1.0)
    parameters: Mapping[str, float] | None = None
