"""Laws of films: what is seen is where it was, solids are clear, the last frame is shown."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_records import board_picture
from numpy.typing import NDArray
from PIL import Image

from evaluation.board.page import elements
from evaluation.board.page.film import Film, draw_film
from evaluation.records.samples import Picture
from evaluation.templates import templates

VIRIDIS_ENDS = ((68, 1, 84), (253, 231, 37))  # of the map's published table


def _strip(film: Film) -> NDArray[np.uint8]:
    """(rows of all frames, columns, RGBA) of a film's picture."""
    image = Image.open(io.BytesIO(film.strip.png))
    assert image.mode == "P"
    return np.asarray(image.convert("RGBA"))


def _flat(values: NDArray[np.float32], fluid: NDArray[np.float32] | None = None) -> Picture:
    """The same plane as truth and prediction in two frames."""
    frames = np.stack([values, values])[:, None]
    fluid = np.ones(values.shape, np.float32) if fluid is None else fluid
    return Picture(np.array([1, 10]), frames, frames, fluid)


def test_frames_stand_one_above_the_other_and_panels_side_by_side() -> None:
    strip = _strip(draw_film(board_picture(side=24, frames=4), 0, "t"))
    assert strip.shape == (4 * 24, 3 * 24 + 2, 4)
    gaps = strip[:, (24, 49), 3]
    assert not gaps.any(), "gaps are clear"


def test_the_lowest_row_of_a_plane_is_drawn_lowest_and_extremes_have_the_maps_ends() -> None:
    values = np.zeros((4, 4), np.float32)
    values[0, 0], values[3, 3] = -2.0, 2.0
    strip = _strip(draw_film(_flat(values), 0, "t"))
    assert tuple(strip[3, 0, :3]) == VIRIDIS_ENDS[0]
    assert tuple(strip[0, 3, :3]) == VIRIDIS_ENDS[1]


def test_no_error_is_the_middle_of_its_map() -> None:
    strip = _strip(draw_film(_flat(np.eye(4, dtype=np.float32)), 0, "t"))
    error = strip[:4, 10:, :3].astype(int)
    assert np.ptp(error, axis=(0, 1)).max() == 0
    assert error.min() > 230, "nearly white"


def test_solids_and_values_that_are_not_finite_are_clear() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    values[1, 1] = np.nan
    fluid = np.ones((4, 4), np.float32)
    fluid[3, 0] = 0
    strip = _strip(draw_film(_flat(values, fluid), 0, "t"))
    for first in (0, 5, 10):
        clear = strip[:4, first : first + 4, 3] == 0
        assert {tuple(map(int, place)) for place in np.argwhere(clear)} == {(0, 0), (2, 1)}


def test_nothing_finite_is_drawn_as_nothing() -> None:
    strip = _strip(draw_film(_flat(np.full((4, 4), np.inf, np.float32)), 0, "t"))
    assert not strip[..., 3].any()


def test_the_last_frame_is_shown_where_no_script_runs() -> None:
    drawn = draw_film(board_picture(frames=4), 0, "a <b>")
    macros: Any = templates(Path(elements.__file__).parent).get_template("elements.html").module
    film = str(macros.film(drawn))
    assert 'style="--frames:4;--at:3" data-frames="2 4 6 8"' in film
    assert "<output>frame 8</output>" in film
    assert re.findall(r"<(button|input)[^>]* hidden", film) == ["button", "input"]
    assert 'alt="Truth, prediction and error on a &lt;b&gt;"' in film
    coded = re.search(r'src="data:image/png;base64,([^"]*)"', film)
    assert coded is not None
    assert base64.b64decode(coded[1]) == drawn.strip.png


@pytest.mark.parametrize(("side", "shown"), [(64, 64), (128, 64), (100, 50)])
def test_fine_fields_are_thinned(side: int, shown: int) -> None:
    strip = _strip(draw_film(board_picture(side=side, frames=2), 0, "t", most_cells=64))
    assert strip.shape[0] == 2 * shown


def test_one_row_of_cells_is_drawn_high_enough_to_be_seen() -> None:
    strip = _strip(draw_film(board_picture(side=64, frames=2, rows=1), 0, "t"))
    assert strip.shape[0] == 2 * 16


def test_the_same_picture_gives_the_same_film() -> None:
    assert draw_film(board_picture(), 0, "t") == draw_film(board_picture(), 0, "t")
