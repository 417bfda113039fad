"""What is scrubbed through: a model and a simulation in, frames, errors and experts out.

Axes: F predicted frames, K known ones among them, C channels, H rows and W columns of the
simulation; R rows and columns of the model; L blocks, E routed experts, S chosen ones.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from evaluation.metrics.relative import l2re_per_frame
from evaluation.routing.fingerprints import Fingerprints
from evaluation.simulation.known_frames import MOST_STEPS
from evaluation.simulation.likeness import Likeness, likeness
from evaluation.simulation.on_model_grid import Array, OnModelGrid, check_fits, scored_points
from evaluation.simulation.report import OwnDataReport
from evaluation.simulation.scaling import Scaling
from foundation import Surrogate

_USUAL_STEPS = 10  # where nothing is known of what follows
_MOST_NUMBERS = 1 << 27  # of a forecast on the simulation's own grid: half a GiB
_BATCH = 8


@dataclass(frozen=True)
class Firing:
    """How the blocks route the context of every predicted frame.

    Attributes:
        probabilities_FLE: softmax over all routed experts.
        experts_FLS: chosen ones, best first.
        weights_FLS: theirs, summing to one.
    """

    probabilities_FLE: NDArray[np.float32]
    experts_FLS: NDArray[np.int64]
    weights_FLS: NDArray[np.float32]

    @property
    def num_blocks(self) -> int:
        return len(self.probabilities_FLE[0])

    @property
    def num_experts(self) -> int:
        """Routed ones of a block."""
        return len(self.probabilities_FLE[0, 0])

    @property
    def num_chosen(self) -> int:
        """Experts that compute a frame in a block."""
        return len(self.experts_FLS[0, 0])

    @property
    def most(self) -> float:
        """The largest probability of all."""
        return float(self.probabilities_FLE.max())


@dataclass(frozen=True)
class FrameErrors:
    """L2RE of every known frame (K,), of the model and of repeating the last given frame."""

    model: NDArray[np.float64]
    persistence: NDArray[np.float64]


@dataclass(frozen=True)
class Scrub:
    """A forecast beside what is known of it.

    Attributes:
        simulation: the frames that the model sees, and those known that follow them.
        start: number of the first of them in the whole simulation.
        context_frames: how many the model sees.
        forecast: (F, C, H, W).
        times: of the predicted frames (F,).
        errors: all channels together.
        channel_errors: of every channel; None of one that is zero throughout.
        firing: None of a dense model.
        likeness: to which corpus the routers send the context; None without fingerprints.
        report: on a forecast as long, by all known frames; None if it was not judged.
    """

    simulation: Simulation
    start: int
    context_frames: int
    forecast: Array
    times: NDArray[np.float64]
    errors: FrameErrors
    channel_errors: tuple[FrameErrors | None, ...]
    firing: Firing | None
    likeness: Likeness | None
    report: OwnDataReport | None

    @property
    def truth(self) -> Array:
        """The known frames (K, C, H, W), K at most F."""
        return self.simulation.fields[self.context_frames :]

    @property
    def error(self) -> Array:
        """Forecast less truth (K, C, H, W)."""
        with np.errstate(invalid="ignore"):  # a forecast may be infinite
            difference: Array = self.forecast[: len(self.truth)] - self.truth
        return difference


def scrub(
    model: Surrogate,
    simulation: Simulation,
    fingerprints: Fingerprints | None = None,
    *,
    start: int = 0,
    steps: int | None = None,
    report: OwnDataReport | None = None,
    scaling: Scaling | None = None,
) -> Scrub:
    """Predict from a window of a simulation on.

    Args:
        model: in evaluation mode.
        simulation: of any grid, in its own values.
        fingerprints: of corpora, under the same model.
        start: first frame of the context.
        steps: frames wanted; as many as are known by default, ten where none is.
        report: on the whole simulation, if it was judged.
        scaling: by which the model sees it; what is shown stays in its own values.

    Raises:
        UserError: the simulation does not fit the model, has no such frame, or the forecast
            would be too long.
    """
    steps = check_window(model, simulation, start, steps)
    context = model.config.context_frames
    shown = _part(simulation, start, context + steps)
    seen = scaling.applied(shown) if scaling else shown
    placed = OnModelGrid(model, seen)
    predicted = placed.predict([0], steps)
    forecast = placed.back(predicted, [0])[0]
    if report is not None and report.keeps_detail:
        forecast = placed.with_detail(forecast, context - 1)
    if scaling:
        forecast = scaling.undone(replace(seen, fields=forecast)).fields
    errors, channel_errors = frame_errors(shown, forecast, context)
    return Scrub(
        simulation=shown,
        start=start,
        context_frames=context,
        forecast=forecast,
        times=_times(shown, context, steps),
        errors=errors,
        channel_errors=channel_errors,
        firing=_firing(model, placed, predicted[0]) if model.config.num_routed else None,
        likeness=likeness(model, placed, [0], fingerprints) if fingerprints else None,
        report=report,
    )


def check_window(model: Surrogate, simulation: Simulation, start: int, steps: int | None) -> int:
    """Frames that are predicted: as asked, or as many as are known, or some.

    Args:
        model: in evaluation mode.
        simulation: of any grid.
        start: first frame of the context.
        steps: frames wanted, if that is said.

    Raises:
        UserError: as `scrub`.
    """
    check_fits(model, simulation)
    context = model.config.context_frames
    last = len(simulation.fields) - context
    if not 0 <= start <= last:
        raise UserError(
            f"{simulation.source}: start frame {start}, wanted 0 to {last}: it has "
            f"{len(simulation.fields)} frames, of which the model sees {context}"
        )
    steps = steps or min(last - start, MOST_STEPS) or _USUAL_STEPS
    _check_length(simulation, steps)
    return steps


def frame_errors(
    shown: Simulation, forecast: Array, context: int
) -> tuple[FrameErrors, tuple[FrameErrors | None, ...]]:
    """Errors of all channels together and of each apart.

    Args:
        shown: context and known frames.
        forecast: (F, C, H, W).
        context: number of frames of the context.
    """
    known = shown.fields[context:]
    if not len(known):
        none = FrameErrors(np.empty(0), np.empty(0))
        return none, (none,) * len(shown.channels)
    true = torch.from_numpy(np.ascontiguousarray(known))[None]
    pred = torch.from_numpy(np.ascontiguousarray(forecast[: len(known)]))[None]
    floor = torch.from_numpy(shown.fields[context - 1 : context])[None].expand_as(true)
    points = scored_points(shown, known)

    def of(points: torch.Tensor) -> FrameErrors:
        model, persistence = (l2re_per_frame(p, true, points)[0].double() for p in (pred, floor))
        return FrameErrors(model.numpy(), persistence.numpy())

    apart: list[FrameErrors | None] = []
    for channel in range(len(shown.channels)):
        only = torch.zeros_like(points)
        only[:, :, channel] = points[:, :, channel]
        apart.append(of(only) if only.any() else None)
    return of(points), tuple(apart)


def _firing(model: Surrogate, placed: OnModelGrid, predicted: Array) -> Firing:
    """Routes of the very contexts that the rollout saw, call by call."""
    context, out = model.config.context_frames, model.config.out_frames
    frames = np.concatenate([placed.frames[:context], predicted])
    starts = range(0, len(predicted), out)
    contexts = torch.from_numpy(np.stack([frames[s : s + context] for s in starts]))
    device = next(model.parameters()).device
    parts = [
        model.route(part.to(device), placed.fluid, placed.origins(len(part)))
        for part in torch.split(contexts, _BATCH)
    ]
    # One call of the model gives `out` frames, all of them of the same route.
    call_F = np.arange(len(predicted)) // out

    def joined(name: str) -> NDArray[np.generic]:
        blocks = [torch.stack([getattr(b, name) for b in part], dim=1) for part in parts]
        return torch.cat(blocks).cpu().numpy()[call_F]

    return Firing(
        probabilities_FLE=joined("probabilities").astype(np.float32),
        experts_FLS=joined("experts").astype(np.int64),
        weights_FLS=joined("weights").astype(np.float32),
    )


def _part(simulation: Simulation, start: int, count: int) -> Simulation:
    """Some frames of it."""
    chosen = slice(start, start + count)
    times = replace(simulation.times, values=simulation.times.values[chosen])
    return replace(simulation, fields=simulation.fields[chosen], times=times)


def _times(shown: Simulation, context: int, steps: int) -> NDArray[np.float64]:
    """Times of the predicted frames: the file's own, and on from there."""
    values = shown.times.values
    step = values[-1] - values[-2] if len(values) > 1 else 1.0
    known = values[context : context + steps]
    later = values[-1] + step * np.arange(1, steps - len(known) + 1)
    return np.concatenate([known, later])


def _check_length(simulation: Simulation, steps: int) -> None:
    channels, rows, columns = simulation.fields.shape[1:]
    most = min(MOST_STEPS, _MOST_NUMBERS // (channels * rows * columns))
    if not 1 <= steps <= most:
        raise UserError(
            f"{simulation.source}: {steps} frames to predict, wanted 1 to {most} on a page; "
            "`foundation predict` writes longer forecasts to a file"
        )
