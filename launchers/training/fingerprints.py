"""The routing fingerprints of what was learnt, beside a finished model.

By them `foundation predict` tells to which corpus's experts a simulation is sent.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.routing.fingerprints import save_fingerprints
from evaluation.routing.runner import fingerprints_of
from foundation import Surrogate
from foundation.checkpoint.folder import read_config

_WINDOWS = 32  # of every corpus: seconds at the end of a run


def add_fingerprints(folder: Path, corpora: Sequence[ShardedCorpus], device: torch.device) -> None:
    """Write them into a checkpoint folder; nothing where there is nothing to tell.

    Args:
        folder: of the checkpoint.
        corpora: that it was trained on.
        device: to compute on.
    """
    config, _ = read_config(folder)
    # Elsewhere nothing routes whole samples, or a forward pass solves an equation.
    plane = config.dimensions != 3 and not config.layout.slots and config.constraint is None
    if not config.num_routed or not plane:
        return
    try:
        model = Surrogate.from_pretrained(folder).to(device)
        save_fingerprints(fingerprints_of(model, corpora, _WINDOWS), folder)
    except (UserError, torch.OutOfMemoryError) as error:  # no reason to call the run a failure
        reason = next(iter(str(error).splitlines()), "no memory left")
        print(f"note: {folder}: without routing fingerprints: {reason}", file=sys.stderr)
