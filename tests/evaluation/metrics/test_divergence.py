"""Laws of the divergence of a predicted velocity."""

import math

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor

from data_shards.stream.origin import Origin
from evaluation.metrics.registry import measure

ROWS, COLUMNS = 8, 16
EXTENT = (0.0, 4.0, 0.0, 1.0)  # cells of 1/4 by 1/8: a slip of the spacing shows


def _places() -> tuple[Tensor, Tensor]:
    """Centres of the cells, x and y, each (ROWS, COLUMNS)."""
    x = (torch.arange(COLUMNS) + 0.5) * 4.0 / COLUMNS
    y = (torch.arange(ROWS) + 0.5) / ROWS
    return x.expand(ROWS, -1), y[:, None].expand(-1, COLUMNS)


def _divergence(u: Tensor, v: Tensor, points: Tensor | None = None) -> float:
    fields = torch.stack([u, v])[None, None]
    forecast = forecast_of(
        fields,
        fields,
        points,
        channels=("u", "v"),
        solenoidal=("u", "v"),
        origin=Origin(extent=EXTENT),
    )
    return float(measure(("divergence",), forecast)["divergence"])


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (lambda x, y: (x, 0 * y), 1.0),
        (lambda x, y: (0 * x, 3 * y), 1.0),
        (lambda x, y: (x, y), math.sqrt(2)),
        (lambda x, y: (-y, x), 0.0),
        (lambda x, y: (2 * x, -2 * y), 0.0),
        (lambda x, y: (5 * y, 0 * x), 0.0),
    ],
)
def test_linear_flows_have_their_closed_form(flow, expected: float) -> None:  # type: ignore[no-untyped-def]
    assert _divergence(*flow(*_places())) == pytest.approx(expected, abs=1e-5)


def test_a_flow_at_rest_has_no_divergence() -> None:
    assert _divergence(*(0 * place for place in _places())) == 0.0


def test_a_uniform_stream_on_top_changes_nothing() -> None:
    x, y = _places()
    assert _divergence(x + 7, 0.5 * y - 2) == pytest.approx(_divergence(x, 0.5 * y), rel=1e-5)


def test_solid_cells_and_their_neighbours_do_not_count() -> None:
    x, y = _places()
    points = torch.ones(1, 1, 2, ROWS, COLUMNS)
    points[..., 3:5, 6:8] = 0
    u, v = -y.clone(), x.clone()
    u[3:5, 6:8], v[3:5, 6:8] = 1e3, -1e3
    assert _divergence(u, v, points) == pytest.approx(0.0, abs=1e-5)
    assert _divergence(u, v) > 0.5
