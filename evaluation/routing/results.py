"""Routing files on disk: written whole or not at all, read back strictly.

Beside `FILE.json` lies `FILE.routes.npz`; the arrays of record number i and one split carry
the prefix `i/CORPUS/SPLIT/`: `keys` and `trajectories` (N,), `probabilities` and `weights`
(N, L, E).
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from evaluation.records.kinds import Kind
from evaluation.records.samples import DAMAGE
from evaluation.routing.record import RoutingFile, RoutingRecord, SplitName, splits_of
from evaluation.routing.routes import Routes

Judged = tuple[RoutingRecord, Mapping[SplitName, Routes]]


def routes_path(output: Path) -> Path:
    """Where the per-sample distributions of a routing file lie."""
    return output.with_name(f"{output.name.removesuffix('.json')}.routes.npz")


def save_routing(output: Path, judged: Sequence[Judged]) -> None:
    """Write a routing file and its routes, each in one step; the records come last.

    Raises:
        UserError: the disk refuses.
    """
    routes_file = routes_path(output)
    results = RoutingFile(
        routes_file=routes_file.name, records=tuple(record for record, _ in judged)
    )
    arrays: dict[str, Any] = {}
    for position, (_, routes) in enumerate(judged):
        for (corpus, split), each in routes.items():
            prefix = f"{position}/{corpus}/{split}"
            arrays[f"{prefix}/keys"] = np.array(each.keys)
            arrays[f"{prefix}/trajectories"] = each.trajectories_N
            arrays[f"{prefix}/probabilities"] = each.probabilities_NLE
            arrays[f"{prefix}/weights"] = each.weights_NLE
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    try:
        replace_file(routes_file, packed.getvalue())
        replace_file(output, f"{results.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise UserError(f"{output}: could not be written ({error}); fix that and repeat") from None


def _check(results: RoutingFile, where: str) -> None:
    for position, record in enumerate(results.records):
        if record.task.hash != record.task_hash:
            raise UserError(
                f"{where}: record {position} ({record.model.name}): its task_hash is "
                f"{record.task_hash[:10]}, the task in it has {record.task.hash[:10]}; one of "
                "them was changed, run foundation routing again"
            )


ROUTING = Kind(RoutingFile, _check, "run foundation routing again")


def read_routes(path: Path, position: int, record: RoutingRecord) -> dict[SplitName, Routes]:
    """The routes behind a record.

    Args:
        path: the file of routes.
        position: number of the record in its routing file.
        record: itself.

    Raises:
        UserError: the file is missing or does not hold that record.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {
                (corpus, split): Routes(
                    corpus=corpus,
                    keys=tuple(map(str, stored[f"{position}/{corpus}/{split}/keys"])),
                    trajectories_N=stored[f"{position}/{corpus}/{split}/trajectories"],
                    probabilities_NLE=stored[f"{position}/{corpus}/{split}/probabilities"],
                    weights_NLE=stored[f"{position}/{corpus}/{split}/weights"],
                )
                for corpus, split in splits_of(record.task)
            }
    except DAMAGE as error:
        raise UserError(
            f"{path}: no readable routes of record {position} ({error}); run foundation routing "
            "again"
        ) from None
