"""Ground states at the size of a test: networks that answer them, batches, exact ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from written import write_generated

from data_shards.card import Split
from data_shards.catalogue import load_card
from data_shards.generate.ground_state import ground_state
from data_shards.generate.spin_chain import hamiltonian
from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation.models.pg_moe import PGMoE
from foundation.models.registry import build_model, read_model_config

FIELDS = (0.1, 0.6, 1.0, 1.9)
LABELLED, UNLABELLED = "ising_4", "ising_4_field_1.05"  # corpora of a run


def states_config(**options):
    return read_model_config({"model_type": "pg_moe", "resolution": 32, **options}, "test")


def states_network(seed: int = 0, **options) -> PGMoE:
    return build_model(states_config(**options), seed)


def exact_states(sites: int, fields: Sequence[float] = FIELDS, periodic: bool = True):
    """Ground states of a chain, one per field."""
    return [ground_state(hamiltonian(sites, field, periodic=periodic)) for field in fields]


def chain_batch(sites: int, fields: Sequence[float] = FIELDS, periodic: bool = True) -> Batch:
    """Fields given, exact amplitudes asked."""
    shape = len(fields), 1, 1, 1, 1 << sites
    given = torch.tensor(fields).view(-1, 1, 1, 1, 1).expand(shape)
    found = exact_states(sites, fields, periodic)
    asked = torch.from_numpy(np.stack([each.amplitudes for each in found])).float().view(shape)
    side = "periodic" if periodic else "open"
    origins = tuple(
        Origin(
            parameters={"field": field, "longitudinal": 0.01, "energy": each.energy},
            boundary={"left": side, "right": side},
        )
        for field, each in zip(fields, found, strict=True)
    )
    return _batch(given, asked, origins)


def box_batch(potential_BHW: torch.Tensor) -> Batch:
    """Potentials given; what is asked is not known."""
    given = potential_BHW[:, None, None]
    return _batch(given, torch.zeros_like(given), ())


def _batch(given: torch.Tensor, asked: torch.Tensor, origins: tuple[Origin, ...]) -> Batch:
    count = len(given)
    return Batch(
        given=given,
        asked=asked,
        asked_mask=torch.ones(count, 1),
        valid_mask=torch.ones(count, 1, *given.shape[3:]),
        corpus_id=torch.zeros(count, dtype=torch.int64),
        keys=("",) * count,
        origins=origins,
    )


def write_states(folder: Path, *names: str, split: Split = "train", count: int = 4) -> Path:
    """Shards of some corpora of chains."""
    for name in names:
        write_generated(folder, name, {split: count}, load_card(name).native_grid[-1])
    return folder
