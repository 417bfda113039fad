"""A forecast for a scientist's own simulation: a model and a file in, future frames out.

    from data_shards.simulation_file import read_simulation, write_simulation
    from evaluation.simulation.on_model_grid import forecast
    from evaluation.simulation.report import judge
    from foundation import Surrogate

    model = Surrogate.from_pretrained("runs/tiny/model")
    simulation = read_simulation("flow.h5")
    report = judge(model, simulation, "runs/tiny/model", steps=10)
    print(report.text)
    future = forecast(model, simulation, steps=10, keep_detail=report.keeps_detail)
    write_simulation(future, "forecast.h5")

Axes: T frames, C channels, H rows and W columns of the file; R rows and columns of the model.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from data_shards.simulation_file.regrid import regrid, regrid_fluid, regrid_mask
from data_shards.stream.layout import resize_mask
from data_shards.stream.origin import Origin
from foundation import Surrogate
from foundation.constraint.config import ConstraintConfig

Array = NDArray[np.float32]


def check_fits(model: Surrogate, simulation: Simulation) -> None:
    """Refuse a simulation that the model cannot continue.

    Raises:
        UserError: too few frames, too many channels, planes where it takes lines, or nothing of
            what its equation asks for.
    """
    config = model.config
    frames, channels = simulation.fields.shape[:2]
    if frames < config.context_frames:
        raise UserError(
            f"{simulation.source}: {frames} frames, the model needs {config.context_frames} to "
            "begin with; give more, or name the axis of time by --axes"
        )
    if channels > config.channels:
        raise UserError(
            f"{simulation.source}: {channels} channels ({', '.join(simulation.channels)}), the "
            f"model takes {config.channels}; choose by --channels"
        )
    if config.constraint is not None:
        if config.grid[0] == 1 and simulation.grid[0] != 1:
            raise UserError(
                f"{simulation.source}: planes of {simulation.grid[0]} rows, the model takes lines; "
                "name the axes by --axes t,x or s,t,x"
            )
        _check_known(config.constraint, simulation)


def _check_known(constraint: ConstraintConfig, simulation: Simulation) -> None:
    """Refuse a simulation that does not say what its equation is made of."""
    source, equation = simulation.source, constraint.equation
    if missing := [n for n in constraint.evolution.parameters if n not in simulation.numbers]:
        raise UserError(
            f"{source}: the model solves {equation}, whose {', '.join(missing)} the file does not "
            f"say; save it there as a number, or give --parameters {missing[0]}=VALUE"
        )
    space = "xy"[: constraint.evolution.dimensions]
    if missing := [letter for letter in space if letter not in simulation.measured]:
        raise UserError(
            f"{source}: the model solves {equation}, which asks for lengths; save the places of "
            f"the cells as coordinate {missing[0]}"
        )
    if simulation.time_step is None:
        raise UserError(
            f"{source}: the model solves {equation}, which asks for the time between frames; save "
            "their times as coordinate t, or give --time-step"
        )


def forecast(
    model: Surrogate, simulation: Simulation, steps: int, keep_detail: bool = False
) -> Simulation:
    """Continue a simulation.

    Args:
        model: in evaluation mode.
        simulation: its last `context_frames` frames are what the model sees.
        steps: frames wanted.
        keep_detail: keep what the model's grid does not resolve as it is in the last frame; a
            report says whether that errs less on known frames.

    Returns:
        The future frames, on the grid and in the layout of the file, its time continued. On
        the model's own grid they are exactly those of `Surrogate.forecast`.

    Raises:
        UserError: too few frames, or too many channels.
    """
    check_fits(model, simulation)
    placed = OnModelGrid(model, simulation)
    count = len(simulation.fields)
    starts = [count - model.config.context_frames]
    fields = placed.forecast(starts, steps)[0]
    if keep_detail:
        fields = placed.with_detail(fields, count - 1)
    times = simulation.times
    step = simulation.time_step or (times.values[-1] - times.values[-2] if count > 1 else 1.0)
    later = times.values[-1] + step * np.arange(1, steps + 1)
    return replace(simulation, fields=fields, times=replace(times, values=later))


class OnModelGrid:
    """A simulation as the model sees it, window by window."""

    def __init__(self, model: Surrogate, simulation: Simulation) -> None:
        """Resample all frames once.

        Args:
            model: in evaluation mode.
            simulation: that fits it.
        """
        self._model, self._simulation = model, simulation
        self._shape = model.config.layout.grid
        mask, around = simulation.mask, simulation.periodic
        self.mask: Array | None = None
        if mask is None:
            self.frames = regrid(simulation.fields, self._shape, around)
        else:
            self.mask = regrid_mask(mask, self._shape, around)
            self._share = resize_mask(mask, self._shape)
            self.frames = regrid_fluid(simulation.fields, mask, self.mask, around)

    def contexts(self, starts: list[int]) -> torch.Tensor:
        """Windows (B, context_frames, C, R, R) that begin at some frames."""
        length = self._model.config.context_frames
        return torch.from_numpy(np.stack([self.frames[s : s + length] for s in starts]))

    def forecast(self, starts: list[int], steps: int) -> Array:
        """What follows some windows (B, steps, C, H, W), on the file's own grid."""
        return self.back(self.predict(starts, steps), starts)

    def predict(
        self,
        starts: list[int],
        steps: int,
        noisy: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> Array:
        """What follows some windows (B, steps, C, R, R), on the model's grid.

        Args:
            starts: first frames of the windows.
            steps: frames wanted.
            noisy: changes the windows before the model sees them.
        """
        device = next(self._model.parameters()).device
        contexts = self.contexts(starts)
        contexts = (contexts if noisy is None else noisy(contexts)).to(device)
        origins = self.origins(len(starts))
        forecast = self._model.forecast(contexts, steps, self.fluid, origins)
        predicted: Array = forecast.cpu().numpy()
        return predicted

    def origins(self, count: int) -> tuple[Origin, ...]:
        """Where windows come from, for a model under an equation; others do not ask."""
        simulation = self._simulation
        if self._model.config.constraint is None or simulation.time_step is None:
            return ()
        return (Origin(simulation.time_step, simulation.extent, simulation.numbers),) * count

    @property
    def fluid(self) -> torch.Tensor | None:
        """The share of fluid in the cells of the model's grid, as training shows it."""
        return None if self.mask is None else self._share

    @property
    def context_frames(self) -> int:
        """That a window has."""
        return self._model.config.context_frames

    @property
    def resamples(self) -> bool:
        """Whether the file is on another grid than the model."""
        return self._simulation.grid != self._shape

    def resampled(self, number: int = -1) -> Array:
        """A frame (C, H, W) there and back: what resampling alone does to it."""
        number %= len(self.frames)
        start = number + 1 - self._model.config.context_frames
        frame: Array = self.back(self.frames[None, number : number + 1], [start])[0, 0]
        return frame

    def with_detail(self, frames: Array, last: int) -> Array:
        """A forecast (steps, C, H, W) with what the model's grid does not resolve of some frame.

        That is its change added to the file's own frame.

        Args:
            frames: on the file's grid.
            last: number of the last frame that the model saw.
        """
        if not self.resamples:
            return frames
        with np.errstate(invalid="ignore", over="ignore"):  # a forecast may diverge
            result: Array = frames + (self._simulation.fields[last] - self.resampled(last))
        return result

    def back(self, frames: Array, starts: list[int]) -> Array:
        """Frames (B, steps, C, R, R) that follow some windows, on the file's own grid."""
        simulation = self._simulation
        if simulation.mask is None or self.mask is None:
            return regrid(frames, simulation.grid, simulation.periodic)
        last = [start + self._model.config.context_frames - 1 for start in starts]
        return regrid_fluid(
            frames,
            self.mask,
            simulation.mask,
            simulation.periodic,
            background=simulation.fields[last][:, None],
        )


def scored_points(simulation: Simulation, true: Array) -> torch.Tensor:
    """Where errors count: fluid cells of channels that are not zero throughout.

    Args:
        simulation: whose mask holds.
        true: frames (T, C, H, W).

    Returns:
        1 where they count, else 0 (1, 1, C, H, W).
    """
    mask = np.ones(simulation.grid, np.float32) if simulation.mask is None else simulation.mask
    alive = np.abs(true * mask).max((0, 2, 3)) > 0
    points = alive[:, None, None] * (mask >= 0.5)
    return torch.from_numpy(points.astype(np.float32))[None, None]
