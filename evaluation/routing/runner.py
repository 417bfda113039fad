"""The reader of routers: a checkpoint, a task and shards in, a record and its routes out."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from pydantic import PositiveInt

from data_shards.config import Config
from data_shards.hashing import digest
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import check_fits
from data_shards.stream.windows import check_long_enough
from evaluation.harness.forecaster import check_has_expert, told_source
from evaluation.records.provenance import git_commit, this_machine
from evaluation.records.record import ModelFacts, Provenance
from evaluation.routing.clusters import untrained_purity
from evaluation.routing.collect import check_routed, collect_routes, temperature_of
from evaluation.routing.fingerprints import Fingerprints, fingerprint
from evaluation.routing.record import RoutingRecord, SplitName, find, shards_hash, splits_of
from evaluation.routing.routes import Routes
from evaluation.routing.sampling import Window, choose_windows
from evaluation.routing.task import RoutingTask
from foundation import Surrogate
from foundation.models.registry import build_model


class RoutingSettings(Config):
    """How a run is done; none of it changes a number by more than rounding."""

    batch_size: PositiveInt = 8
    device: str = "cpu"


@dataclass(frozen=True)
class RoutedModel:
    """A checkpoint whose routers can be looked at, and what is known of it."""

    facts: ModelFacts
    model: Surrogate

    @property
    def training_step(self) -> int | None:
        """Optimiser steps that its weights have seen, as its folder or else the network says."""
        said = self.model.about.get("steps")
        if isinstance(said, int):
            return said
        step = getattr(self.model.network, "training_step", None)
        return None if step is None else int(step)


def open_routed(target: str, device: torch.device, name: str | None = None) -> RoutedModel:
    """A checkpoint folder or hub id, ready to be looked at.

    Args:
        target: as on the command line.
        device: where it is to run.
        name: how it is called in tables; its folder's name by default.

    Raises:
        UserError: no readable checkpoint, or one without routers.
    """
    model = Surrogate.from_pretrained(target).to(device)
    counts = model.parameter_counts()
    facts = ModelFacts(
        name=name or Path(target).resolve().name,
        model_type=model.config.model_type,
        source=told_source(target),
        parameters_total=counts.total,
        parameters_activated=counts.activated,
        fingerprint=model.fingerprint,
        config_hash=digest(model.config.canonical()),
    )
    check_routed(model, facts.name)
    return RoutedModel(facts, model)


def untrained_twin(routed: RoutedModel, seed: int) -> RoutedModel:
    """The same network with fresh weights: what a router tells without having learnt anything.

    Random features already tell fields of different scales and shapes apart, so a trained
    router's accuracy means little without this floor beside it.

    Args:
        routed: the trained checkpoint; the twin's routers run at its temperature.
        seed: of the fresh weights.
    """
    trained, facts = routed.model, routed.facts
    network = build_model(trained.config, seed)
    weights = network.state_dict()
    if "training_step" in weights:
        weights["training_step"].copy_(trained.network.state_dict()["training_step"])
    config, about = trained.config, {**trained.about, "steps": 0}
    identity = hashlib.sha256(f"untrained {seed} {facts.config_hash}".encode()).hexdigest()
    device = next(trained.parameters()).device
    model = Surrogate(network, config, about, identity).eval().to(device)
    changes = {
        "name": f"{facts.name}-untrained",
        "source": f"fresh weights, seed {seed}",
        "floor": True,
        "fingerprint": identity,
    }
    return RoutedModel(facts.model_copy(update=changes), model)


def plan_windows(
    routed: RoutedModel, task: RoutingTask, corpora: Mapping[SplitName, ShardedCorpus]
) -> dict[SplitName, list[Window]]:
    """Windows that a run will look at; refuses what cannot be looked at, before any work.

    Raises:
        UserError: trajectories too short, or a corpus that the model cannot take or has no expert
            of.
    """
    config = routed.model.config
    layout, learnt = config.layout, routed.model.about.get("corpora", ())
    planned = {}
    for place, count in splits_of(task).items():
        corpus = corpora[place]
        check_fits(corpus.card, layout)
        check_has_expert(routed.facts.name, config.routes_by_corpus, learnt, corpus.name)
        check_long_enough(corpus, config.context_frames, f"model {routed.facts.name}")
        planned[place] = choose_windows(
            "/".join(place),
            corpus.num_trajectories,
            corpus.frames - config.context_frames + 1,
            count=count,
            start=task.start,
            seed=task.seed,
        )
    return planned


def fingerprints_of(
    model: Surrogate, corpora: Sequence[ShardedCorpus], windows: int, batch_size: int = 8
) -> Fingerprints:
    """Where the routers send each corpus: its fingerprint alone, without a test.

    Args:
        model: with routers, in evaluation mode.
        corpora: opened splits, each of another corpus.
        windows: of every corpus at most.
        batch_size: windows per call.

    Raises:
        UserError: its routers route something else than whole samples, or a corpus does not fit.
    """
    check_routed(model, model.config.model_type)
    temperature, frames = temperature_of(model, "evaluation"), model.config.context_frames
    terms = RoutingTask.model_fields
    found = []
    for corpus in corpora:
        check_fits(corpus.card, model.config.layout)
        check_long_enough(corpus, frames, f"model {model.config.model_type}")
        split = f"{corpus.name}/{corpus.entry.split}"
        starts = corpus.frames - frames + 1
        chosen = choose_windows(split, corpus.num_trajectories, starts, count=windows)
        routes = collect_routes(
            model, corpus, chosen, temperature=temperature, batch_size=batch_size
        )
        found.append(fingerprint(routes, corpus.entry.split, corpus.fingerprint))
    return Fingerprints(
        model=model.fingerprint,
        temperature=temperature,
        context_frames=frames,
        start=terms["start"].default,
        corpora=tuple(found),
    )


def run_routing(
    routed: RoutedModel,
    task: RoutingTask,
    corpora: Mapping[SplitName, ShardedCorpus],
    settings: RoutingSettings,
    advance: Callable[[int], object] = lambda windows: None,
) -> tuple[RoutingRecord, dict[SplitName, Routes]]:
    """Look at the routers of a checkpoint.

    Args:
        routed: the checkpoint.
        task: the terms.
        corpora: the splits that `splits_of` names, opened.
        settings: batch size and device.
        advance: told the number of windows done after every batch.

    Returns:
        The record, and the routes that it follows from.

    Raises:
        UserError: see `plan_windows`.
    """
    began = time.perf_counter()
    temperature = temperature_of(routed.model, task.temperature)
    planned = plan_windows(routed, task, corpora)
    routes = {
        place: collect_routes(
            routed.model,
            corpora[place],
            windows,
            temperature=temperature,
            batch_size=settings.batch_size,
            advance=advance,
        )
        for place, windows in planned.items()
    }
    shards = {place: corpora[place].fingerprint for place in routes}
    findings = find(routes, shards, task)
    tested = [(name, task.test_split) for name in task.corpora]
    record = RoutingRecord(
        model=routed.facts,
        training_step=routed.training_step,
        temperature=temperature,
        task=task,
        task_hash=task.hash,
        fingerprints=Fingerprints(
            model=routed.facts.fingerprint,
            temperature=temperature,
            context_frames=routed.model.config.context_frames,
            start=task.start,
            corpora=findings.seen,
        ),
        findings=findings,
        untrained_purity=untrained_purity(
            routed.model,
            [(corpora[place], planned[place]) for place in tested],
            task.seed,
            settings.batch_size,
        ),
        shards={"/".join(place): found for place, found in shards.items()},
        seconds=time.perf_counter() - began,
        provenance=Provenance(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            git_commit=git_commit(),
            machine=this_machine(torch.device(settings.device)),
            shard_fingerprint=shards_hash(shards),
            resolution=routed.model.config.resolution,
            stride=1,  # routers see every cell
            batch_size=settings.batch_size,
        ),
    )
    return record, routes
