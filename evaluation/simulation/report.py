"""Whether to trust a model on a scientist's own simulation: a report with a plain verdict.

Two questions are asked. Does the model predict the frames that are known already, each from
those before it, better than repeating the last one does? And do its routers take the
simulation for something that it was trained on? The thresholds of the verdict are ours; they
stand in the report. The routers are only an alarm: under a small mixture of six corpora, 1 of
36 test files of these corpora was stranger than 0.25, and none of 18 of three other corpora;
what tells is the error.
Axes: B windows, T frames, C channels, H rows, W columns of the file.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from data_shards.config import Config
from data_shards.simulation_file import Simulation
from evaluation.metrics.relative import l2re
from evaluation.records.table import number
from evaluation.simulation.likeness import Likeness, find_fingerprints, likeness
from evaluation.simulation.on_model_grid import Array, OnModelGrid, check_fits, scored_points
from evaluation.simulation.training_hints import training_hints
from foundation import Surrogate
from foundation.checkpoint.folder import find_folder

MOST_WINDOWS = 32
_BATCH = 8

Answer = Literal["zero_shot", "doubtful", "fine_tune", "unknown"]


class Thresholds(Config):
    """Up to where a forecast without fine-tuning is called usable."""

    one_step: PositiveFloat = 0.1  # relative L2 error of one step
    gain: PositiveFloat = 0.5  # that error over the error of repeating the last frame
    strangeness: PositiveFloat = 0.25  # divergence from the nearest corpus over its reach


class OneStep(Config):
    """Errors of one step over windows of the known frames, on the file's own grid."""

    windows: PositiveInt
    model: float  # mean relative L2 error; inf where a forecast is not finite
    persistence: float  # of repeating the last frame
    channels: tuple[str, ...]  # that were scored: those that are not zero throughout

    @property
    def gain(self) -> float | None:
        """Model over persistence: below 1 the model knows more than the last frame."""
        return self.model / self.persistence if self.persistence > 0 else None


class Verdict(Config):
    """One answer, in one sentence."""

    answer: Answer
    sentence: str
    thresholds: Thresholds


class OwnDataReport(Config):
    """Everything that is told about a simulation before its forecast is believed."""

    format: Literal["foundation-own-data"] = "foundation-own-data"
    version: Literal[1] = 1
    file: str
    checkpoint: str
    model_type: str
    fingerprint: str  # of the model's configuration and weights
    frames: PositiveInt
    context_frames: PositiveInt
    grid: tuple[PositiveInt, PositiveInt]  # rows, columns
    model_grid: tuple[PositiveInt, PositiveInt]
    channels: tuple[str, ...]
    solid_cells: NonNegativeInt
    resampling: float  # relative L2 error of the last frame to the model's grid and back
    assumed: tuple[str, ...]
    likeness: Likeness | None
    likeness_note: str  # why there is none
    one_step: OneStep | None
    verdict: Verdict

    @property
    def text(self) -> str:
        """The report for people."""
        rows, columns = self.grid
        lines = [
            f"{self.file} with {self.checkpoint} ({self.model_type})",
            f"  {self.frames} frames of {rows} x {columns}, channels {', '.join(self.channels)}"
            + (f", {self.solid_cells} solid cells" if self.solid_cells else ""),
            f"  model: {self.context_frames} frames of "
            f"{self.model_grid[0]} x {self.model_grid[1]}; resampling there and back alone errs "
            f"by {number(self.resampling)}",
            "",
            "What was assumed",
            *[f"  {line}" for line in self.assumed or ("nothing",)],
            "",
            "One step, from frames that are known (relative L2 error)",
            *[f"  {line}" for line in _one_step_lines(self.one_step)],
            "",
            "What the routers take it for (distance in nats, all blocks together)",
            *[f"  {line}" for line in _likeness_lines(self.likeness, self.likeness_note)],
            "",
            f"Verdict: {self.verdict.sentence}",
        ]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """For a JSON file; what is not finite becomes a word."""
        values: dict[str, Any] = _finite(self.model_dump())
        if self.one_step is not None:
            gain = self.one_step.gain
            values["one_step"]["gain"] = _finite(gain)
        if self.likeness is not None:
            values["likeness"]["strangeness"] = self.likeness.strangeness
        return values


def judge(
    model: Surrogate,
    simulation: Simulation,
    checkpoint: str | Path | None = None,
    thresholds: Thresholds | None = None,
) -> OwnDataReport:
    """Judge a model on the known frames of a simulation.

    Args:
        model: in evaluation mode.
        simulation: as its file was read.
        checkpoint: folder or hub name that the model is from, where fingerprints may lie.
        thresholds: of the verdict.

    Raises:
        UserError: too few frames, or too many channels.
    """
    check_fits(model, simulation)
    config, thresholds = model.config, thresholds or Thresholds()
    placed = OnModelGrid(model, simulation)
    folder = None if checkpoint is None else find_folder(str(checkpoint))
    fingerprints, note = find_fingerprints(model, folder)
    windows = len(simulation.fields) - config.context_frames
    likes = likeness(model, placed, _spread(windows + 1), fingerprints) if fingerprints else None
    step = _one_step(placed, simulation, config.context_frames) if windows else None
    return OwnDataReport(
        file=str(simulation.source),
        checkpoint=str(checkpoint or "a model in memory"),
        model_type=config.model_type,
        fingerprint=model.fingerprint,
        frames=len(simulation.fields),
        context_frames=config.context_frames,
        grid=simulation.grid,
        model_grid=(config.resolution, config.resolution),
        channels=simulation.channels,
        solid_cells=0 if simulation.mask is None else int((simulation.mask < 0.5).sum()),
        resampling=_relative(placed.resampled()[None, None], simulation.fields[None, -1:],
                             scored_points(simulation, simulation.fields[-1:])),
        assumed=simulation.assumed + training_hints(model, simulation),
        likeness=likes,
        likeness_note=note,
        one_step=step,
        verdict=decide(step, likes, thresholds, config.context_frames),
    )  # fmt: skip


def decide(
    step: OneStep | None, likes: Likeness | None, thresholds: Thresholds, context_frames: int
) -> Verdict:
    """The verdict that follows from the numbers.

    Args:
        step: errors of one step, if there was a frame to compare with.
        likes: what the routers say, if anything.
        thresholds: what the numbers are compared with.
        context_frames: frames that the model needs.
    """

    def verdict(answer: Answer, sentence: str) -> Verdict:
        return Verdict(answer=answer, sentence=sentence, thresholds=thresholds)

    strangeness = None if likes is None else likes.strangeness
    far = ""
    if likes is not None and strangeness is not None and strangeness > thresholds.strangeness:
        far = (
            f"; to its routers it is {strangeness:.0%} as far from {likes.nearest.corpus}, the "
            "nearest corpus of the training, as a typical other corpus is"
        )
    if step is None:
        return verdict(
            "unknown",
            f"nothing is known of the error: the file has no more than the {context_frames} frames "
            f"that the model begins with; give at least {context_frames + 1}{far}.",
        )
    if step.gain is None:
        return verdict("unknown", f"nothing moves in these frames, so nothing can be judged{far}.")
    told = (
        f"one step errs by {number(step.model)}, repeating the last frame by "
        f"{number(step.persistence)}"
    )
    if not step.gain < 1:
        return verdict(
            "fine_tune",
            f"do not trust the forecast, fine-tune first: {told}, so the model knows no more than "
            f"the last frame does{far}.",
        )
    limits = []
    if step.model > thresholds.one_step:
        limits.append(f"at most {thresholds.one_step:g}")
    if step.gain > thresholds.gain:
        limits.append(f"at most {thresholds.gain:g} times the latter")
    if limits or far:
        above = f" (wanted {' and '.join(limits)})" if limits else ""
        return verdict("doubtful", f"doubt the forecast, better fine-tune: {told}{above}{far}.")
    unasked = "" if likes is not None else " (its routers could not be asked)"
    return verdict(
        "zero_shot",
        f"the forecast can be used as it is, for some steps: {told}{unasked}; errors grow with "
        "every step.",
    )


def _spread(count: int) -> list[int]:
    """Numbers below `count`, spread evenly, the first and the last among them."""
    chosen = np.linspace(0, count - 1, min(count, MOST_WINDOWS)).round().astype(int)
    return sorted(set(chosen.tolist()))


def _one_step(placed: OnModelGrid, simulation: Simulation, context_frames: int) -> OneStep:
    fields = simulation.fields
    starts = _spread(len(fields) - context_frames)
    points = scored_points(simulation, fields[context_frames:])
    errors, floors = [], []
    for first in range(0, len(starts), _BATCH):
        chosen = starts[first : first + _BATCH]
        true = np.stack([fields[s + context_frames, None] for s in chosen])
        last = np.stack([fields[s + context_frames - 1, None] for s in chosen])
        weight = len(chosen) / len(starts)
        errors.append(weight * _relative(placed.forecast(chosen, 1), true, points))
        floors.append(weight * _relative(last, true, points))
    kept = points.amax(dim=(0, 1, 3, 4)).tolist()
    return OneStep(
        windows=len(starts),
        model=sum(errors),
        persistence=sum(floors),
        channels=tuple(n for n, k in zip(simulation.channels, kept, strict=True) if k),
    )


def _relative(pred: Array, true: Array, points: torch.Tensor) -> float:
    """Mean over windows of the relative L2 error; inf where a forecast is not finite."""
    if not points.any():
        return 0.0
    points = points.expand(len(true), -1, -1, -1, -1)
    return float(l2re(torch.from_numpy(pred), torch.from_numpy(true), points).mean())


def _one_step_lines(step: OneStep | None) -> list[str]:
    if step is None:
        return ["no frame to compare with"]
    gain = "" if step.gain is None else f", ratio {number(step.gain)}"
    return [
        f"model {number(step.model)}, repeating the last frame {number(step.persistence)}{gain}",
        f"over {step.windows} windows, channels {', '.join(step.channels) or 'none: all are zero'}",
    ]


def _likeness_lines(likes: Likeness | None, note: str) -> list[str]:
    if likes is None:
        return [note]
    width = max(len(each.corpus) for each in likes.corpora)
    lines = [
        f"{each.corpus:{width}}  divergence {each.divergence:8.4f}  cross entropy "
        f"{each.cross_entropy:8.4f}  {each.windows:4.0%} of windows"
        for each in likes.corpora
    ]
    if likes.reach is not None:
        lines.append(
            f"for scale: {likes.nearest.corpus} itself is {likes.reach:.4f} from a typical other "
            "corpus"
        )
    return lines


def _finite(values: Any) -> Any:
    """JSON has no word for what is not finite."""
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return str(values) if isinstance(values, float) and not math.isfinite(values) else values
