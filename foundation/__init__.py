"""Foundation models of partial differential equations: network, training, checkpoints.

from foundation import Surrogate
model = Surrogate.from_pretrained("folder-or-hub-id")
future = model.forecast(context, steps=10)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundation.checkpoint.surrogate import Surrogate

__all__ = ["Surrogate"]


def __getattr__(name: str) -> Any:
    """Torch comes in with what needs it: a rank listens for a stop before it has imported any."""
    if name == "Surrogate":
        from foundation.checkpoint.surrogate import Surrogate

        return Surrogate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
