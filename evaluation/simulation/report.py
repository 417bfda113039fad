"""Whether to trust a model on a scientist's own simulation: a report with a plain verdict.

It is about the forecast that is asked for: does the model predict the frames that are known
already, as far ahead as they reach, better than repeating the last one does, and how long? What
corpora the routers send the simulation to is told beside it, and decides nothing.
Axes: B windows, T frames, C channels, H rows, W columns of the file.
"""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from data_shards.config import Config
from data_shards.simulation_file import Simulation
from evaluation.records.table import number
from evaluation.simulation.known_frames import (
    Horizon,
    KnownErrors,
    as_it_is,
    known_errors,
    relative_error,
    spread_evenly,
)
from evaluation.simulation.likeness import Likeness, find_fingerprints, likeness
from evaluation.simulation.on_model_grid import OnModelGrid, check_fits, scored_points
from evaluation.simulation.scaling import Scaling, far_from_zero
from evaluation.simulation.training_hints import training_hints
from evaluation.simulation.verdict import Thresholds, Verdict, decide
from foundation import Surrogate
from foundation.checkpoint.folder import find_folder

MOST_WINDOWS = 32
_ROWS = 8  # of the table of errors


class OwnDataReport(Config):
    """Everything that is told about a simulation before its forecast is believed."""

    format: Literal["foundation-own-data"] = "foundation-own-data"
    version: Literal[2] = 2
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
    errors: KnownErrors | None
    far_from_zero: tuple[str, ...] = ()  # a line for every channel whose mean dominates it
    verdict: Verdict

    @property
    def keeps_detail(self) -> bool:
        """Whether a forecast is to keep what the model's grid does not resolve."""
        return self.errors is not None and self.errors.keeps_detail

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
            "Forecasts of frames that are known (relative L2 error)",
            *[f"  {line}" for line in _error_lines(self.errors, self.verdict)],
            *[f"  {line}" for line in self.far_from_zero],
            "",
            "Where the routers send it (distance in nats, all blocks together; no verdict)",
            *[f"  {line}" for line in _likeness_lines(self.likeness, self.likeness_note)],
            "",
            f"Verdict: {self.verdict.sentence}",
        ]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """For a JSON file; what is not finite becomes a word."""
        values: dict[str, Any] = _finite(self.model_dump())
        if (errors := self.errors) is not None:
            columns = (errors.by_frame, errors.floor_by_frame, errors.forecasts_by_frame)
            values["by_frame"] = [
                _finite({"frame": frame, **row.model_dump(), "persistence": floor, "forecasts": n})
                for frame, (row, floor, n) in enumerate(zip(*columns, strict=True), 1)
            ]
        if self.likeness is not None:
            values["likeness"]["strangeness"] = self.likeness.strangeness
        return values


def judge(
    model: Surrogate,
    simulation: Simulation,
    checkpoint: str | Path | None = None,
    steps: int | None = None,
    thresholds: Thresholds | None = None,
    scaling: Scaling | None = None,
) -> OwnDataReport:
    """Judge a forecast of a model by the known frames of a simulation.

    Args:
        model: in evaluation mode.
        simulation: as its file was read, or as `scaling` shows it to the model.
        checkpoint: folder or hub name that the model is from, where fingerprints may lie.
        steps: frames of the forecast; None: as many as are known.
        thresholds: of the verdict.
        scaling: by which errors are measured in the file's values.

    Raises:
        UserError: too few frames, or too many channels.
    """
    check_fits(model, simulation)
    config, thresholds = model.config, thresholds or Thresholds()
    placed = OnModelGrid(model, simulation)
    folder = None if checkpoint is None else find_folder(str(checkpoint))
    fingerprints, note = find_fingerprints(model, folder)
    windows = spread_evenly(len(simulation.fields) - config.context_frames + 1, MOST_WINDOWS)
    in_file = scaling.in_file if scaling else as_it_is
    errors = known_errors(placed, simulation, config.context_frames, steps, in_file)
    last, there_and_back = in_file(simulation.fields[-1]), in_file(placed.resampled())
    resampling = relative_error(there_and_back, last, scored_points(simulation, last[None]))
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
        resampling=resampling,
        assumed=simulation.assumed + training_hints(model, simulation),
        likeness=likeness(model, placed, windows, fingerprints) if fingerprints else None,
        likeness_note=note,
        errors=errors,
        far_from_zero=far_from_zero(simulation, in_file),
        verdict=decide(errors, resampling, thresholds, config.context_frames, steps),
    )


def _error_lines(errors: KnownErrors | None, verdict: Verdict) -> list[str]:
    if errors is None:
        return ["no frame to compare with"]
    count = len(errors.starts)
    lines = [
        f"{count} forecast{'s' * (count > 1)}, of contexts that begin at frames "
        f"{errors.starts[0]} to {errors.starts[-1]}; expected of that from frame {errors.last}, "
        "which is asked for, as errors change from start to start",
        f"channels: {', '.join(errors.channels) or 'none, all are zero'}",
        f"{'frame ahead':>11}  {'expected':>8}  {'repeating':>9}  {'median':>8}  {'lowest':>8}  "
        f"{'highest':>8}  forecasts",
    ]
    rows = list(zip(errors.by_frame, errors.floor_by_frame, errors.forecasts_by_frame, strict=True))
    for place in spread_evenly(len(rows), _ROWS):
        row, floor, forecasts = rows[place]
        first = f"{number(row.expected):>8}  {number(floor):>9}"
        spread = f"{number(row.median):>8}  {number(row.lowest):>8}  {number(row.highest):>8}"
        lines.append(f"{place + 1:>11}  {first}  {spread}  {forecasts:>9}")
    for limit in (verdict.thresholds.accurate, verdict.thresholds.usable):
        lines.append(f"at most {limit:g}: {_frames(errors.within(limit), errors.reach)}")
    better = errors.better_until
    lines.append(
        f"below repeating the last frame, in the mean up to there: {_first(better)}"
        if better
        else "nowhere below repeating the last frame"
    )
    if verdict.tested < verdict.asked:
        lines.append(f"not tested: frames {verdict.tested + 1} to {verdict.asked}")
    if errors.other is not None:
        lines.append(_detail_line(errors, errors.other))
    return lines


def _frames(horizon: Horizon, reach: int) -> str:
    """How long something holds, with its spread over forecasts."""
    if horizon.first == horizon.expected == reach:
        return f"{_first(reach)}, all that are known"
    if horizon.first == horizon.expected == horizon.last:
        return _first(horizon.expected)
    return (
        f"{_first(horizon.expected)} (in the worst forecast {_first(horizon.first)}, in the best "
        f"{_first(horizon.last)})"
    )


def _first(count: int) -> str:
    return {0: "no frame", 1: "frame 1"}.get(count, f"frames 1 to {count}")


def _detail_line(errors: KnownErrors, other: float) -> str:
    kept, left = "kept from the last frame", "left out"
    now, else_ = (kept, left) if errors.keeps_detail else (left, kept)
    return (
        f"what the model's grid does not resolve is {now}: mean error {number(errors.mean)}, "
        f"{else_} {number(other)}"
    )


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
