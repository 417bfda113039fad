"""A training folder: its `config.yaml` written, read and compared, its finished model found.

The file says where a run comes from, how it was launched, and its whole resolved configuration.
It is read through `RunConfig`: keys that came later take their defaults, so that folders of
yesterday go on, and keys of a later version are refused by name. Beside it lie `checkpoints/`,
`metrics.jsonl` and, once the run is finished, `model/`.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from data_shards.atomic import replace_file
from data_shards.config import read_yaml
from data_shards.errors import UserError
from foundation.checkpoint.saved import Checkpoint, newest_checkpoint, tags_of
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig
from foundation.train.config import RunConfig, first_difference
from foundation.train.objectives import LossConfig
from foundation.train.room import check_folder, check_room

# Parts of a run that a resumed one must share; length, rates and losses may change on the way, and
# validation where it decides nothing.
_FIXED = ("model", "scales", "data", "seed", "global_batch", "early_stopping", "validation")


@dataclass(frozen=True)
class Job:
    """What tells one training run from another.

    Attributes:
        run: resolved.
        network: builds what is trained from its configuration, the same on every rank.
        origin: plain values on where it comes from, for `config.yaml` and the checkpoint.
        fixed: keys of `origin` that a resumed run must share.
    """

    run: RunConfig
    network: Callable[[ModelConfig], FieldNetwork]
    origin: dict[str, Any]
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """How a run is launched: nothing of it decides what is learnt but the shards' contents."""

    shards: str
    shards_sha256: dict[str, str]  # corpus -> fingerprint of what is learnt from
    ep_size: int
    deepspeed_config: str
    world: int
    shards_meaning: dict[str, Any] = field(default_factory=dict)  # corpus -> `CorpusEntry.meaning`
    # corpus -> name, mean and deviation of its channels, as its manifest says
    shards_statistics: dict[str, Any] = field(default_factory=dict)
    # Mended shards that it went on with: {"step": 40, "was": {corpus: ...}, "now": {...}}.
    accepted_shards: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SavedRun:
    """What `config.yaml` says.

    Attributes:
        run: resolved, with today's keys.
        origin: where it comes from.
        launch: values of `Launch`, as far as they were written.
    """

    run: RunConfig
    origin: dict[str, Any]
    launch: dict[str, Any]

    def about(self, steps: int, samples: int) -> dict[str, Any]:
        """What a checkpoint of it says of itself."""
        statistics = self.launch.get("shards_statistics")
        return about_of(self.origin, self.run, steps, samples, statistics)


def config_path(folder: Path) -> Path:
    """The file that makes a folder a training folder."""
    return folder / "config.yaml"


def read_run(folder: Path) -> SavedRun:
    """What a training folder holds.

    Raises:
        UserError: no `config.yaml`, or one that this version does not understand.
    """
    values = _read_values(folder)
    run = RunConfig.read(values.pop("run"), str(config_path(folder)))
    launch = _launch(values)
    return SavedRun(run, {key: values[key] for key in values if key not in launch}, launch)


def read_launch(folder: Path) -> dict[str, Any]:
    """How a run was launched: values of `Launch`, of whatever version's configuration.

    Raises:
        UserError: no `config.yaml`, or not a run's.
    """
    return _launch(_read_values(folder))


def write_run(folder: Path, job: Job, launch: Launch) -> None:
    """Write `config.yaml`, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    launched = asdict(launch)
    for name in ("accepted_shards", "shards_meaning", "shards_statistics"):
        if not launched[name]:
            del launched[name]
    values = {**job.origin, **launched, "run": job.run.model_dump(mode="json")}
    replace_file(config_path(folder), yaml.safe_dump(values, sort_keys=False).encode())


def about_of(
    origin: Mapping[str, Any],
    run: RunConfig,
    steps: int,
    samples: int,
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plain values on where the weights of a checkpoint come from.

    Args:
        origin: of the run.
        run: resolved.
        steps: optimiser steps taken.
        samples: seen.
        statistics: of the channels of every corpus, as `Launch.shards_statistics`.
    """
    corpora: dict[str, Any] = {"corpora": list(run.data.corpora)}
    if run.transductive:
        corpora["unlabelled"] = list(run.transductive)
    if statistics:
        corpora["statistics"] = dict(statistics)
    counted = {"steps": steps, "samples": samples, "seed": run.seed}
    return {**origin, **corpora, "loss": told_loss(run.loss), **counted}


def told_loss(loss: LossConfig) -> dict[str, Any]:
    """A loss as a checkpoint tells it: what differs from the defaults."""
    return loss.model_dump(mode="json", exclude_defaults=True)


def loss_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """The loss by which a checkpoint was learnt, as far as its `about` tells."""
    loss = about.get("loss")
    return dict(loss) if isinstance(loss, Mapping) else {}


def check_unused(folder: Path, resume: bool) -> None:
    """Refuse a folder that holds a run to one that starts, and an empty one to one that goes on.

    Raises:
        UserError: that is so, or the folder cannot be written.
    """
    check_folder(folder)
    config = config_path(folder)
    if not resume and (config.is_file() or tags_of(folder / "checkpoints")):
        raise UserError(
            f"{folder}: holds a run already; go on with --resume, or choose another --output"
        )
    if resume and not config.is_file():
        raise UserError(f"{folder}: nothing to resume: no config.yaml; leave --resume out")


def check_output(
    folder: Path,
    job: Job,
    shards: Mapping[str, str],
    resume: bool,
    accept_shards: bool = False,
    meaning: Mapping[str, Any] | None = None,
) -> None:
    """Refuse a folder that a run does not fit.

    Args:
        folder: to train in.
        job: what is to be trained.
        shards: fingerprints of what it learns from, by corpus.
        resume: whether it goes on with what is there.
        accept_shards: let it go on though the content of its shards is another.
        meaning: of these shards, by corpus, as their manifest says; None: not compared.

    Raises:
        UserError: there is a run and it is not to be resumed, there is none and it is, or it is
            another one; or its disk takes no checkpoint.
    """
    check_unused(folder, resume)
    check_room(folder, job.run.model)
    if not resume:
        return
    saved = read_run(folder)
    found = (
        difference(saved.run, job.run, _FIXED)
        or first_difference(_chosen(saved.origin, job.fixed), _chosen(job.origin, job.fixed))
        or _other_meaning(saved, meaning)
    )
    if not found and not accept_shards and (other := _other_shards(saved, shards, "shards_sha256")):
        raise UserError(
            f"{folder}: cannot resume on other shards: {other}; restore the old ones, start anew "
            "in another --output, or add --accept-shards if only their content was mended"
        )
    if found:
        raise UserError(
            f"{folder}: cannot resume with another configuration: {found}; "
            "restore the old value, or start anew in another --output"
        )


def accepted_shards(folder: Path, shards: Mapping[str, str], step: int) -> list[dict[str, Any]]:
    """Mended shards that a run has gone on with, those of now among them.

    Args:
        folder: of the run.
        shards: fingerprints of what it learns from now, by corpus.
        step: that it goes on from.
    """
    launch = read_launch(folder) if config_path(folder).is_file() else {}
    known: list[dict[str, Any]] = list(launch.get("accepted_shards", ()))
    before = launch.get("shards_sha256", shards)
    other = [name for name in shards if before.get(name) != shards[name]]
    if not other:
        return known
    was, now = ({name: each.get(name) for name in other} for each in (before, shards))
    return [*known, {"step": step, "was": was, "now": now}]


def finished_model(folder: Path, run: RunConfig, shards: Mapping[str, str]) -> Path | None:
    """The checkpoint of a run that was finished; None if there is still something to do.

    Args:
        folder: where it is trained.
        run: as it is asked for now.
        shards: fingerprints of what it learns from, by corpus.

    Raises:
        UserError: the folder holds a run of other settings, or on other shards.
    """
    if not config_path(folder).exists():
        return None
    saved = read_run(folder)
    if found := difference(saved.run, run) or _other_shards(saved, shards, "shards"):
        raise UserError(
            f"{folder}: holds another run: {found}; change the study back, remove that "
            "folder, or choose another --output"
        )
    return model_of(folder)


def model_of(folder: Path) -> Path | None:
    """The checkpoint folder of a finished run."""
    model = folder / "model"
    return model if (model / "config.json").is_file() else None


def difference(before: RunConfig, now: RunConfig, parts: tuple[str, ...] = ()) -> str | None:
    """Where two runs that do not learn the same differ first: "key.path was old, now new".

    Args:
        before, now: resolved.
        parts: of the configuration that are looked at; all that decide the weights by default.
    """
    old, new = before.deciding_values(), now.deciding_values()
    if parts:
        old, new = _chosen(old, parts), _chosen(new, parts)
    return first_difference(old, new)


def newest_to_resume(checkpoints: Path, run: RunConfig) -> tuple[str, Checkpoint] | None:
    """Tag and manifest of the checkpoint that a run goes on from, if there is any.

    Raises:
        UserError: all are damaged, or the run is to end before it.
    """
    newest = newest_checkpoint(checkpoints, contents=True)
    if newest and newest[1].step > run.steps:
        raise UserError(
            f"{checkpoints / newest[0]}: is at step {newest[1].step}, beyond steps={run.steps}; "
            "raise steps, or start anew in another --output"
        )
    return newest


def validation_error(folder: Path, step: int) -> float | None:
    """Mean validation error over corpora at a step of a run; None where nothing was validated.

    Args:
        folder: of the run.
        step: of the weights that are asked about.
    """
    lines = folder / "metrics.jsonl"
    rows = map(json.loads, lines.read_text().splitlines() if lines.is_file() else ())
    for row in rows:
        if row["kind"] == "validation" and row["step"] == step:
            errors = [math.inf if error is None else error for error in row["l2re"].values()]
            return math.fsum(errors) / len(errors)
    return None


def seconds_of_steps(folder: Path, clock: str = "seconds_per_step") -> tuple[int, float | None]:
    """Steps of a run, and seconds of them all by one of the clocks that its log has, of one rank;
    None where it has not, or there is no row. Each stands for the steps since the one before.

    Raises:
        UserError: the log is damaged.
    """
    path = folder / "metrics.jsonl"
    try:
        lines = path.read_text().splitlines() if path.is_file() else []
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable ({error}); give a training folder") from None
    rows = [row for row in rows if row.get("kind") == "train"]
    ends = [row["step"] for row in rows]
    if not rows or any(clock not in row for row in rows):
        return ends[-1] if rows else 0, None
    lengths = (end - begin for begin, end in pairwise([0, *ends]))
    return ends[-1], sum(length * row[clock] for length, row in zip(lengths, rows, strict=True))


def _read_values(folder: Path) -> dict[str, Any]:
    path = config_path(folder)
    values = read_yaml(path)
    if not isinstance(values, dict) or not isinstance(values.get("run"), dict):
        raise UserError(f"{path}: not a run's configuration; restore it, or start anew")
    return values


def _launch(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in Launch.__dataclass_fields__ if key in values}


def _chosen(values: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: values.get(key) for key in keys}


def _other_meaning(saved: SavedRun, meaning: Mapping[str, Any] | None) -> str | None:
    before = saved.launch.get("shards_meaning")
    if not before or meaning is None:  # older versions wrote none
        return None
    return first_difference(before, dict(meaning), "shards_meaning")


def _other_shards(saved: SavedRun, shards: Mapping[str, str], name: str) -> str | None:
    if "shards_sha256" not in saved.launch:
        return None
    return first_difference(saved.launch["shards_sha256"], dict(shards), name)
