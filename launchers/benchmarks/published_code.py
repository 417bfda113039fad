"""The authors' own code, from a clone of it that the user has: how lean our yardstick is.

It is not ours to ship (https://github.com/haiyangxin/MoEPOT). The clone's code is run.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.moe_pot import MoEPOTConfig

_NETWORK_FILE = Path("models") / "moepot.py"
_BALANCE_WEIGHT = 0.1  # of the authors' configuration


def published_code_loss(
    clone: Path, config: MoEPOTConfig, batch: Batch
) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A network of that code with our sizes, and its training loss on a batch.

    Args:
        clone: folder with `models/moepot.py`.
        config: sizes; experts and what is chosen of them are fixed there, 16 and 4.
        batch: fields of our order.

    Raises:
        UserError: no such code there.
    """
    check_clone(clone)
    sys.path.insert(0, str(clone))
    try:
        network: Any = importlib.import_module("models.moepot").MoEPOTNet
        model = _network(network, config).to(batch.given.device)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(
            f"--authors {clone}: its network cannot be made ({error}); install what it needs, or "
            "take another version of it"
        ) from None
    finally:
        sys.path.remove(str(clone))
    context, target = (t.permute(0, 3, 4, 1, 2).contiguous() for t in (batch.given, batch.asked))

    def loss() -> Tensor:
        predicted, _, balance = model(context)
        missed, true = (t.flatten(1).norm(dim=1) for t in (predicted - target, target))
        total: Tensor = (missed / true).sum() + _BALANCE_WEIGHT * balance
        return total

    return model, loss


def check_clone(clone: Path) -> None:
    """Refuse a folder without that code.

    Raises:
        UserError: there is none.
    """
    if not (clone / _NETWORK_FILE).is_file():
        raise UserError(
            f"--authors {clone}: no {_NETWORK_FILE} in it; wanted a clone of their code"
        )


def _network(kind: Any, config: MoEPOTConfig) -> nn.Module:
    network: nn.Module = kind(
        img_size=config.resolution,
        patch_size=config.patch,
        in_channels=config.channels,
        out_channels=config.channels,
        in_timesteps=config.context_frames,
        n_blocks=config.heads,
        embed_dim=config.width,
        depth=config.blocks,
        modes=config.modes,
        mlp_ratio=config.mlp_ratio,
        out_layer_dim=config.head_width,
    )
    return network
