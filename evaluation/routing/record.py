"""Routing records: what a checkpoint's routers tell and where that was found out.

A routing file holds the records of one run, one per checkpoint; beside it lie the routing
distributions of every sample (`results.py`), from which each record can be made again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat

from data_shards.config import Config
from evaluation.records.record import ModelFacts, Provenance
from evaluation.routing.detection import Detection, detect
from evaluation.routing.fingerprints import CorpusFingerprint, Fingerprints, fingerprint, stacked
from evaluation.routing.inference import Inference, infer
from evaluation.routing.routes import Routes
from evaluation.routing.task import RoutingTask
from evaluation.routing.usage import CorpusUsage, Specialisation, corpus_usage, specialise

SplitName = tuple[str, str]  # corpus, split


class Findings(Config):
    """What follows from the routes of a task's samples. Pure."""

    seen: tuple[CorpusFingerprint, ...]
    few: tuple[CorpusFingerprint, ...]  # of unseen corpora, each from a few windows
    inference: Inference  # among the seen corpora
    few_shot: Inference | None  # among seen and unseen ones, each with its fingerprint
    detection: Detection | None  # None without unseen corpora
    usage: tuple[CorpusUsage, ...]
    specialisation: tuple[Specialisation, ...]  # by block


class RoutingRecord(Config):
    """One checkpoint under one task."""

    model: ModelFacts
    training_step: NonNegativeInt | None  # optimiser steps; None where a model keeps none
    temperature: PositiveFloat  # of the full softmax
    task: RoutingTask
    task_hash: str
    fingerprints: Fingerprints  # of the seen corpora
    findings: Findings
    # Purity of clusters of latents before any training (`clusters.py`), a floor under that of the
    # routers; None of networks without latents.
    untrained_purity: float | None = None
    shards: dict[str, str]  # "CORPUS/SPLIT": fingerprint of its shards
    seconds: float
    provenance: Provenance


class RoutingFile(Config):
    """All records of one run."""

    format: Literal["foundation-routing"] = "foundation-routing"
    version: Literal[1] = 1
    routes_file: str  # name of the file of per-sample distributions, in the same folder
    records: tuple[RoutingRecord, ...]


def find(
    routes: Mapping[SplitName, Routes], shards: Mapping[SplitName, str], task: RoutingTask
) -> Findings:
    """Everything that the routes of a task's samples tell.

    Args:
        routes: by corpus and split, all that `splits_of` names.
        shards: fingerprints of the same splits.
        task: the terms.
    """

    def fingerprints_of(names: Sequence[str]) -> tuple[CorpusFingerprint, ...]:
        places = [(name, task.fingerprint_split) for name in names]
        return tuple(fingerprint(routes[p], task.fingerprint_split, shards[p]) for p in places)

    seen = [routes[name, task.test_split] for name in task.corpora]
    unseen = [routes[name, task.test_split] for name in task.unseen]
    known = fingerprints_of(task.corpora)
    few = fingerprints_of(task.unseen) if task.few else ()
    return Findings(
        seen=known,
        few=few,
        inference=infer(seen, stacked(known), task.epsilon),
        few_shot=infer(seen + unseen, stacked(known + few), task.epsilon) if few else None,
        detection=detect(seen, unseen, stacked(known), task.epsilon) if unseen else None,
        usage=tuple(corpus_usage(each, each.corpus in task.corpora) for each in [*seen, *unseen]),
        specialisation=specialise(seen),
    )


def splits_of(task: RoutingTask) -> dict[SplitName, int]:
    """Splits that a task looks at, and how many windows it takes of each at most."""
    made_of = task.fingerprint_split
    wanted: dict[SplitName, int] = {(name, made_of): task.windows for name in task.corpora}
    if task.few:
        wanted |= {(name, made_of): task.few for name in task.unseen}
    for name in (*task.corpora, *task.unseen):
        wanted[name, task.test_split] = task.windows
    return wanted


def shards_hash(shards: Mapping[SplitName, str]) -> str:
    """One fingerprint for all splits of a task."""
    lines = (f"{corpus}/{split} {found}\n" for (corpus, split), found in sorted(shards.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
