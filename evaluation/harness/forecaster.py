"""What can be judged: a checkpoint, a floor or a factory by name in, one form of forecaster out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from data_shards.errors import UserError, unknown_name
from data_shards.hashing import digest
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from evaluation.foreign.factory import in_one_line, is_factory, make_model
from evaluation.harness.floors import FLOORS
from evaluation.records.record import ModelFacts
from evaluation.tasks.task import ProtocolName
from foundation import Surrogate
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig, work_of
from foundation.models.rollout import rollout
from foundation.models.types import Prediction
from foundation.models.work import flops_of

FLOOR_PREFIX = "floor:"


@dataclass(frozen=True)
class Forecaster:
    """A name, what is known of it, and its forecast.

    Attributes:
        facts: for the record.
        forecast: context and number of frames in, (B, steps, C, H, W) out.
        layout: grid and channels it takes; None if it takes any, as a floor does.
        context_frames: how many frames it takes; None if all that there are, as a floor does.
        reconstructs: whether it answers with the frames that it is given.
        learnt: corpora of its training, in their order.
        protocol: under which it is judged whatever the task says; None: the task's.
        boxes: in which it solves an equation, along time and each axis; empty without one.
        members: of an ensemble, likewise (M, B, steps, C, H, W); its forecast is their mean. None
            of a single forecast.
        any_grid: whether it answers on the cells of the data, whatever those of its layout.
        model: one call of a checkpoint; None of others.
        latent_error: of a batch, as `FieldNetwork.latent_error`.
        routes_by_corpus: as `FieldConfig.routes_by_corpus`.
    """

    facts: ModelFacts
    forecast: Callable[[Batch, int], Tensor]
    layout: ModelLayout | None = None
    context_frames: int | None = None
    reconstructs: bool = False
    boxes: tuple[int, ...] = ()
    learnt: tuple[str, ...] = ()
    members: Callable[[Batch, int], Tensor] | None = None
    protocol: ProtocolName | None = None
    any_grid: bool = False
    model: Callable[[Batch], Prediction] | None = None
    latent_error: Callable[[Batch], Tensor | None] = lambda batch: None
    routes_by_corpus: bool = False


def open_forecaster(target: str, device: torch.device, name: str | None = None) -> Forecaster:
    """A floor (`floor:NAME`), a checkpoint folder or what a factory makes, ready to forecast.

    Args:
        target: as on the command line.
        device: where networks are to run.
        name: how it is called on a leaderboard; its own name by default. One that was trained on
            unlabelled parameters of a test is called transductive besides.

    Raises:
        UserError: an unknown floor, no readable checkpoint, or a factory that fails.
    """
    if target.startswith(FLOOR_PREFIX):
        return _open_floor(target, name)
    if is_factory(target) and not Path(target).is_dir():
        return _open_foreign(target, device, name)
    return _open_checkpoint(target, device, name)


def _open_floor(target: str, name: str | None) -> Forecaster:
    floor = target.removeprefix(FLOOR_PREFIX)
    if floor not in FLOORS:
        raise unknown_name("floor", floor, FLOORS)
    facts = ModelFacts(
        name=name or floor,
        model_type=floor,
        source=target,
        floor=True,
        fingerprint=digest(target),
        config_hash=digest(target),
    )
    return Forecaster(facts, FLOORS[floor])


def _open_foreign(target: str, device: torch.device, name: str | None) -> Forecaster:
    made = make_model(target, device)
    facts = ModelFacts(
        name=name or target.partition(":")[2],
        model_type=target,
        source=target,
        parameters_total=made.parameters,
        parameters_activated=made.parameters,
        fingerprint=made.fingerprint,
        config_hash=made.source_sha256,
    )

    def forecast(batch: Batch, steps: int) -> Tensor:
        with in_one_line(target):
            return made.model.answer(batch, steps)

    return Forecaster(facts, forecast, made.model.layout, made.model.context_frames)


def _open_checkpoint(target: str, device: torch.device, name: str | None) -> Forecaster:
    if not Path(target).is_dir() and target in FLOORS:
        raise UserError(f"{target}: no such checkpoint; the floor is called {FLOOR_PREFIX}{target}")
    model = Surrogate.from_pretrained(target).to(device)
    config, counts = model.config, model.parameter_counts()
    facts = ModelFacts(
        name=said_of(name or Path(target).resolve().name, model.about.get("unlabelled")),
        model_type=config.model_type,
        source=told_source(target),
        parameters_total=counts.total,
        parameters_activated=counts.activated,
        flops_per_frame=_flops_per_frame(config),
        fingerprint=model.fingerprint,
        config_hash=digest(config.canonical()),
        training_steps=steps if isinstance(steps := model.about.get("steps"), int) else None,
    )

    def forecast(batch: Batch, steps: int) -> Tensor:
        return rollout(model, batch, steps)

    layout = config.layout
    boxes = () if config.constraint is None else config.constraint.splits
    learnt = tuple(model.about.get("corpora", ()))
    frames = config.context_frames
    is_reference = model.about.get("protocol") == "reference"
    return Forecaster(
        facts,
        forecast,
        layout,
        frames,
        config.reconstructs,
        boxes,
        learnt,
        protocol="reference" if is_reference else None,
        model=model,
        latent_error=cast(FieldNetwork, model.network).latent_error,
        routes_by_corpus=config.routes_by_corpus,
    )


def check_has_expert(model: str, routes_by_corpus: bool, learnt: Sequence[str], name: str) -> None:
    """Refuse a corpus of which a model that routes by corpus has no expert.

    Args:
        model: its name.
        routes_by_corpus: whether it does.
        learnt: corpora of its training.
        name: of the corpus.

    Raises:
        UserError: the corpus was not among them.
    """
    if routes_by_corpus and name not in learnt:
        raise UserError(
            f"{model}: router.by=corpus has no expert of {name}, it learnt "
            f"{', '.join(learnt) or 'no corpora that it names'}; choose among those"
        )


def told_source(target: str) -> str:
    """Where a checkpoint lies, as a record tells it: nothing of a machine's own folders.

    A path from the root is told from the working folder, where it is inside of it, else by its
    last two parts, as in nano-seed0/model.
    """
    path = Path(target)
    if not path.is_absolute():
        return target
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else Path(*path.parts[-2:]))


def said_of(name: str, unlabelled: Sequence[str] | None) -> str:
    """The name under which a model's numbers stand, told from those that knew less.

    Args:
        name: of the model.
        unlabelled: corpora whose parameters it has seen in training, if not their labels.
    """
    return f"{name} (transductive)" if unlabelled else name


def _flops_per_frame(config: ModelConfig) -> int:
    """Of one forward pass, shared by the frames that it predicts."""
    return round(flops_of(work_of(config)) / config.out_frames)
