"""Routing records, made by hand."""

import numpy as np
from handmade_routes import handmade

from evaluation.records.record import Machine, ModelFacts, Provenance
from evaluation.routing.fingerprints import Fingerprints
from evaluation.routing.record import RoutingRecord, find
from evaluation.routing.task import RoutingTask


def routing_record(step: int, sharpness: float = 4.0, few: int = 3) -> RoutingRecord:
    """Three corpora of which one is unseen, under routers of a given sharpness."""
    rng = np.random.default_rng(step)
    task = RoutingTask(corpora=("aa", "bb"), unseen=("cc",), few=few)
    routes = {}
    for number, corpus in enumerate(("aa", "bb", "cc")):
        law = np.ones(5) + sharpness * np.eye(5)[number]
        for split in ("train", "test"):
            routes[corpus, split] = handmade(corpus, rng.dirichlet(law, size=(12, 2)))
    shards = dict.fromkeys(routes, "0")
    findings = find(routes, shards, task)
    return RoutingRecord(
        model=ModelFacts(
            name="m <1>", model_type="t", source="s", fingerprint="f", config_hash="c"
        ),
        training_step=step,
        temperature=0.5,
        task=task,
        task_hash=task.hash,
        fingerprints=Fingerprints(
            model="f", temperature=0.5, context_frames=10, start="random", corpora=findings.seen
        ),
        findings=findings,
        shards={"/".join(place): found for place, found in shards.items()},
        seconds=1.0,
        provenance=Provenance(
            date="2025-01-01",
            git_commit="unknown",
            machine=Machine(cpu="c", cores=1, device="cpu", torch="2"),
            shard_fingerprint="0",
            resolution=16,
            stride=1,
            batch_size=8,
        ),
    )
