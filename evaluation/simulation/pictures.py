"""Pictures of a forecast beside what it continues: a contact sheet and an animation.

Axes: T frames, C channels, H rows (y, upwards), W columns (x). Colours are those of the given
frames, so that a forecast that leaves their range is seen to leave it.
"""

import numpy as np

from data_shards.pictures.animation import animation
from data_shards.pictures.sheet import planes_sheet
from data_shards.pictures.view import Caption, View, scale_of
from data_shards.simulation_file import Simulation
from evaluation.simulation.channels import channels_of

_GIVEN, _FORECAST = "0.35", "#b03000"
_COLUMNS = 3  # of the sheet, on either side
_MOST_ASPECT = 8.0


def draw_sheet(given: Simulation, future: Simulation) -> bytes:
    """Rows are channels, columns are frames: the last given ones, then the forecast; PNG."""
    view, first = _view(given, future, len(given.fields))
    before = view.chosen(2, max(0, first - 2 * _COLUMNS), first)
    frames = before + view.chosen(2 * _COLUMNS - len(before) + 1, first)
    return planes_sheet(view, {frame: _caption(view, frame, first, "\n") for frame in frames})


def animate(given: Simulation, future: Simulation, context_frames: int) -> bytes:
    """All channels over time, from the frames that the model saw into the forecast; GIF."""
    view, first = _view(given, future, context_frames)
    captions = [_caption(view, frame, first, ", ") for frame in range(len(view.frames))]
    return animation(view, captions)


def _view(given: Simulation, future: Simulation, last: int) -> tuple[View, int]:
    """The last given frames and the forecast, and the number of its first frame."""
    fields = np.concatenate([given.fields[-last:], future.fields])
    if given.mask is not None:
        fields = np.where(given.mask > 0.5, fields, np.float32(np.nan))
    first = len(fields) - len(future.fields)
    x_min, x_max, y_min, y_max = given.extent
    aspect = (x_max - x_min) / (y_max - y_min)
    if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:  # x and y are in different units
        x_min, x_max, y_min, y_max = 0.0, float(given.grid[1]), 0.0, float(given.grid[0])
    view = View(
        frames=fields,
        times=np.concatenate([given.times.values[-last:], future.times.values]),
        extent=(x_min, x_max, y_min, y_max),
        channels=channels_of(given),
        scales=tuple(
            scale_of(values[:first]).reaching(values) for values in fields.transpose(1, 0, 2, 3)
        ),
        title=f"{given.source.name}: given frames and forecast",
    )
    return view, first


def _caption(view: View, frame: int, first: int, between: str) -> Caption:
    word, colour = ("forecast", _FORECAST) if frame >= first else ("given", _GIVEN)
    return Caption(f"{word}{between}t = {view.times[frame]:.4g}", colour)
