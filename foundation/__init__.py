"""Foundation models of partial differential equations: network, training, checkpoints.

from foundation import Surrogate
model = Surrogate.from_pretrained("folder-or-hub-id")
future = model.forecast(context, steps=10)
"""

from foundation.checkpoint.surrogate import Surrogate

__all__ = ["Surrogate"]
