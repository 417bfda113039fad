"""What checks cost, in seconds: before a run on two shards of 1 GB, and at a save of 1 GB.

    python tests/support/checksum_cost.py FOLDER [GIGABYTES]

Writes shards of random numbers and files of a checkpoint's size below FOLDER, times what a run does
with them, prints JSON and removes them. Reads come from the page cache: the disk is not measured.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from data_shards.atomic import publish
from data_shards.catalogue import load_card
from data_shards.hashing import sha256_of
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.verify import check_checksums, verify
from data_shards.shards.writer import write_corpus
from data_shards.trajectory import Trajectory
from foundation.checkpoint.saved import Checkpoint, read_manifest
from foundation.parallel.layout import Layout

NAME = "pdebench_dr"  # u and v, 101 frames of 128 x 128 cells: 13 MB a trajectory
GIGABYTE = 1 << 30


def seconds(work: Callable[[], object]) -> float:
    """Seconds that work takes, the shortest of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(min(times), 3)


def write_shards(folder: Path, size: int) -> ShardedCorpus:
    """Two shards of about so many bytes each."""
    card = load_card(NAME)
    shape = (card.frames, len(card.channels), *card.native_grid)
    count = 2 * max(1, size // (4 * int(np.prod(shape)) + 4096))
    rng = np.random.default_rng(0)

    def trajectories(first: int) -> Iterator[Trajectory]:
        for index in range(first, count):
            fields = rng.standard_normal(shape, np.float32)
            extent = (0.0, 1.0, 0.0, 1.0)
            yield Trajectory(
                fields=fields, corpus=card.name, index=index, seed=0, dt_s=card.dt_s,
                extent=extent, boundary=card.boundary, parameters={},
            )  # fmt: skip

    made = Provenance(producer="random numbers", version=1, seed=0)
    write_corpus(
        trajectories,
        card,
        split="train",
        out=folder,
        count=count,
        provenance=made,
        shard_bytes=size,
    )
    return ShardedCorpus.open(folder, NAME, "train")


def checkpoint_costs(folder: Path, size: int) -> dict[str, float]:
    """Of 16 files of one size, as the experts of a model of 80 M parameters."""
    folder.mkdir()
    names = [f"expert_{number:02d}.pt" for number in range(16)]
    for name in names:
        (folder / name).write_bytes(np.random.default_rng(0).bytes(size // 16))
    layout = Layout(world=1, ep_size=1, zero_stage=1, bf16=False)
    made = Checkpoint.of(folder, names, 1, 1, layout)
    (folder / "checkpoint.json").write_text(made.model_dump_json())
    return {
        "save: checksums": seconds(lambda: Checkpoint.of(folder, names, 1, 1, layout)),
        "save: to the disk and renamed": seconds(lambda: publish({folder: folder})),
        "resume: checksums of a checkpoint": seconds(lambda: read_manifest(folder, contents=True)),
        "one after the other: checksums of a checkpoint": seconds(
            lambda: [sha256_of(folder / n) for n in names]
        ),
    }


def main(folder: Path, size: int) -> None:
    """Measure and print."""
    try:
        corpus = write_shards(folder / "shards", size)
        tars = [corpus.folder / record.name for record in corpus.entry.shards]
        figures = {
            "start: manifest, headers": seconds(
                lambda: ShardedCorpus.open(corpus.folder, NAME, "train")
            ),
            "start: checksums": seconds(lambda: check_checksums([corpus])),
            "one after the other: checksums of shards": seconds(
                lambda: [sha256_of(p) for p in tars]
            ),
            "foundation shards verify": seconds(lambda: verify(corpus.folder)),
            **checkpoint_costs(folder / "checkpoint", size),
        }
        about = {
            "bytes_of_shards": corpus.entry.bytes,
            "shards": len(corpus.entry.shards),
            "cores": len(os.sched_getaffinity(0)),
            "load_of_the_machine": round(os.getloadavg()[0], 1),
        }
        print(json.dumps({**about, "seconds": figures}, indent=1))
    finally:
        for made in ("shards", "checkpoint"):
            shutil.rmtree(folder / made, ignore_errors=True)


if __name__ == "__main__":
    gigabytes = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    main(Path(sys.argv[1]), int(gigabytes * GIGABYTE))
