"""Laws of strips: a pixel's colour is its cell's value, truth and forecast share their colours."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from own_files import waves, write_waves
from PIL import Image
from runs import write_checkpoint

from data_shards.simulation_file import Reading, read_simulation
from evaluation.simulation.known_frames import KnownErrors
from evaluation.simulation.page import pictures
from evaluation.simulation.page.curve import draw_errors
from evaluation.simulation.page.pictures import Panel, panels, ticks
from evaluation.simulation.page.scrub import FrameErrors, Scrub, scrub
from foundation import Surrogate

ROWS, COLUMNS = 12, 20


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Scrub:
    folder = tmp_path_factory.mktemp("strips")
    model = Surrogate.from_pretrained(write_checkpoint(folder / "model"))
    path = write_waves(folder / "flow.h5", waves(frames=14))
    return scrub(model, read_simulation(path, Reading(axes="t,y,x")), steps=6)


def _strip(panel: Panel) -> np.ndarray:
    """(F, H, W, RGBA), rows upwards."""
    image = np.asarray(Image.open(io.BytesIO(panel.strip.png)).convert("RGBA"))
    columns, rows = panel.strip.size
    return image.reshape(panel.strip.frames, rows, columns, 4)[:, ::-1]


def _values(panel: Panel) -> np.ndarray:
    """Read back from the colours, as an eye with a colour bar does."""
    shades = np.linspace(0, 1, 254)
    table = (matplotlib.colormaps[panel.scale.colours](shades)[:, :3] * 255).round()
    strip = _strip(panel)[..., :3].astype(int)
    near = np.abs(strip[..., None, :] - table).sum(-1).argmin(-1)
    return panel.scale.low + shades[near] * (panel.scale.high - panel.scale.low)


def test_colours_read_back_are_the_fields(found: Scrub) -> None:
    truth, forecast, error = panels(found, 1)
    for panel, fields in ((truth, found.truth), (forecast, found.forecast), (error, found.error)):
        scale = panel.scale
        wanted = np.clip(fields[:, 1], scale.low, scale.high)
        # Half a shade, and neighbours of the same 8-bit colour.
        np.testing.assert_allclose(
            _values(panel), wanted, atol=1.6 * (scale.high - scale.low) / 253
        )
    assert tuple(panel.strip.frames for panel in (truth, forecast, error)) == (4, 6, 4)
    assert truth.strip.size == (COLUMNS, ROWS)


def test_truth_and_forecast_have_the_same_colours_and_no_error_is_the_middle(found: Scrub) -> None:
    truth, forecast, error = panels(found, 0)
    assert (truth.scale.low, truth.scale.high) == (forecast.scale.low, forecast.scale.high)
    assert truth.scale.colours == forecast.scale.colours
    assert error.scale.low == -error.scale.high < 0


def test_a_forecast_beyond_the_colours_is_told_at_their_ends(found: Scrub) -> None:
    forecast = found.forecast.copy()
    forecast[2, 0, 3, 4] = 1e4
    _, panel, _ = panels(replace(found, forecast=forecast), 0)
    assert panel.scale.extend in ("max", "both")
    assert panel.scale.high < 10


def test_solid_cells_and_what_is_not_finite_are_clear(found: Scrub) -> None:
    mask = np.ones((ROWS, COLUMNS), np.float32)
    mask[2, 3] = 0
    forecast = found.forecast.copy()
    forecast[1, 0, 5, 6] = np.inf
    masked = replace(found, forecast=forecast, simulation=replace(found.simulation, mask=mask))
    truth, shown, _ = (_strip(panel)[..., 3] for panel in panels(masked, 0))
    assert not truth[:, 2, 3].any()
    assert (truth == 0).sum() == len(truth)
    assert shown[1, 5, 6] == 0
    assert (shown == 0).sum() == len(shown) + 1


def test_a_large_simulation_is_drawn_coarser(found: Scrub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_MOST_CELLS", 3 * 2 * 6 * ROWS * COLUMNS // 4)
    truth, *_ = panels(found, 0)
    assert truth.strip.size == (COLUMNS // 2, ROWS // 2)
    fine = np.clip(found.truth[:, 0, ::2, ::2], truth.scale.low, truth.scale.high)
    reach = truth.scale.high - truth.scale.low
    np.testing.assert_allclose(_values(truth), fine, atol=1.6 * reach / 253)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-3.2, 7.9), (101325.1, 101325.9), (2e-7, 9e-7), (0, 0.025)]
)
def test_ticks_say_where_they_stand(low: float, high: float) -> None:
    found = ticks(low, high)
    assert len(found) >= 2
    assert len({tick.text for tick in found}) == len(found)
    for tick in found:
        value = float(tick.text.replace("−", "-"))
        assert value == pytest.approx(low + tick.place * (high - low), abs=0.02 * (high - low))


def test_the_cursor_stands_on_its_frame() -> None:
    count = 7
    errors = FrameErrors(np.linspace(0.1, 0.9, count), np.full(count, 0.5))
    drawing, places = draw_errors(errors, None, count)
    assert drawing.count("<svg") == 1
    assert len(places) == count
    assert 0 < places[0] < places[-1] < 1
    np.testing.assert_allclose(np.diff(places), places[1] - places[0])
    one, (place,) = draw_errors(FrameErrors(np.array([np.inf]), np.array([0.5])), None, 1)
    assert 0 < place < 1
    assert "<svg" in one


def test_frames_that_no_known_one_reaches_are_drawn_as_not_tested() -> None:
    known = KnownErrors(
        starts=(0, 1),
        model=((0.1, 0.2), (0.2,)),
        persistence=((0.3, 0.4), (0.3,)),
        channels=("u",),
        last=2,
    )
    nothing = FrameErrors(np.empty(0), np.empty(0))
    drawing, places = draw_errors(nothing, known, 5)
    assert len(places) == 5
    assert "not tested" in drawing
    assert "by 2 forecasts of known frames" in drawing
    assert "not tested" not in draw_errors(nothing, known, 2)[0]
