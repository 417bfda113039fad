"""Pictures of a forecast beside what it continues: a contact sheet and an animation.

Axes: T frames, C channels, H rows (y, upwards), W columns (x). Colours are those of the given
frames, so that a forecast that leaves their range is seen to leave it.
"""

import numpy as np
from matplotlib.axes import Axes

from data_shards.pictures.animation import animation
from data_shards.pictures.sheet import planes_sheet
from data_shards.pictures.view import Caption, View, scale_of
from data_shards.simulation_file import Simulation
from evaluation.simulation.channels import channels_of
from evaluation.simulation.error_curve import draw_known_errors, error_words, finish
from evaluation.simulation.known_frames import KnownErrors

_GIVEN, _FORECAST = "0.35", "#b03000"
_COLUMNS = 3  # of the sheet, on either side
_MOST_ASPECT = 8.0


def draw_sheet(given: Simulation, future: Simulation, errors: KnownErrors | None = None) -> bytes:
    """Rows are channels, columns are frames: the last given ones, then the forecast; PNG.

    Args:
        given: what is continued.
        future: the forecast.
        errors: on known frames; their curve stands below.
    """
    view, first = _view(given, future, len(given.fields))
    before = view.chosen(2, max(0, first - 2 * _COLUMNS), first)
    frames = before + view.chosen(2 * _COLUMNS - len(before) + 1, first)
    words = error_words(errors, len(future.fields))
    captions = {frame: _caption(view, frame, first, words, "\n") for frame in frames}
    if errors is None:
        return planes_sheet(view, captions)

    def curve(axes: Axes) -> None:
        axes.tick_params(labelsize=8)
        draw_known_errors(axes, errors, len(future.fields))
        finish(axes, len(future.fields))

    return planes_sheet(view, captions, curve)


def animate(
    given: Simulation,
    future: Simulation,
    context_frames: int,
    errors: KnownErrors | None = None,
) -> bytes:
    """All channels over time, from the frames that the model saw into the forecast; GIF."""
    view, first = _view(given, future, context_frames)
    words = error_words(errors, len(future.fields))
    captions = [_caption(view, frame, first, words, ", ") for frame in range(len(view.frames))]
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


def _caption(view: View, frame: int, first: int, words: list[str], between: str) -> Caption:
    """Whether a frame is given or forecast, its time, and the error of known ones as far ahead."""
    said = ["given", f"t = {view.times[frame]:.4g}"]
    if frame < first:
        return Caption(between.join(said), _GIVEN)
    return Caption(between.join(["forecast", said[1], words[frame - first]]), _FORECAST)
