"""What can be judged: a checkpoint or a floor by name in, one form of forecaster out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data_shards.errors import UserError, unknown_name
from data_shards.hashing import digest
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from evaluation.harness.floors import FLOORS
from evaluation.records.record import ModelFacts
from foundation import Surrogate
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
        layout: grid and channels it takes; None for a floor, which takes any.
        context_frames: how many frames it takes; None for a floor.
        reconstructs: whether it answers with the frames that it is given.
        learnt: corpora of its training, in their order.
        boxes: in which it solves an equation, along time and each axis; empty without one.
        members: of an ensemble, likewise (M, B, steps, C, H, W); its forecast is their mean. None
            of a single forecast.
        any_grid: whether it answers on the cells of the data, whatever those of its layout.
        model: one call of a checkpoint; None of others.
    """

    facts: ModelFacts
    forecast: Callable[[Batch, int], Tensor]
    layout: ModelLayout | None = None
    context_frames: int | None = None
    reconstructs: bool = False
    boxes: tuple[int, ...] = ()
    learnt: tuple[str, ...] = ()
    members: Callable[[Batch, int], Tensor] | None = None
    any_grid: bool = False
    model: Callable[[Batch], Prediction] | None = None


def open_forecaster(target: str, device: torch.device, name: str | None = None) -> Forecaster:
    """A floor (`floor:NAME`) or a checkpoint folder, ready to forecast.

    Args:
        target: as on the command line.
        device: where a checkpoint is to run.
        name: how it is called on a leaderboard; its own name by default. One that was trained on
            unlabelled parameters of a test is called transductive besides.

    Raises:
        UserError: an unknown floor, or no readable checkpoint.
    """
    if target.startswith(FLOOR_PREFIX):
        return _open_floor(target, name)
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


def _open_checkpoint(target: str, device: torch.device, name: str | None) -> Forecaster:
    if not Path(target).is_dir() and target in FLOORS:
        raise UserError(f"{target}: no such checkpoint; the floor is called {FLOOR_PREFIX}{target}")
    model = Surrogate.from_pretrained(target).to(device)
    config, counts = model.config, model.parameter_counts()
    facts = ModelFacts(
        name=said_of(name or Path(target).resolve().name, model.about.get("unlabelled")),
        model_type=config.model_type,
        source=target,
        parameters_total=counts.total,
        parameters_activated=counts.activated,
        flops_per_frame=_flops_per_frame(config),
        fingerprint=model.fingerprint,
        config_hash=digest(config.canonical()),
    )

    def forecast(batch: Batch, steps: int) -> Tensor:
        return rollout(model, batch, steps)

    layout = config.layout
    boxes = () if config.constraint is None else config.constraint.splits
    learnt = tuple(model.about.get("corpora", ()))
    frames = config.context_frames
    return Forecaster(
        facts, forecast, layout, frames, config.reconstructs, boxes, learnt, model=model
    )


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
