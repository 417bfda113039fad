"""A forecaster judged on the cells of the data: its own grid in, any other out, in two ways.

`native`: the network answers on these cells (`foundation.models.native`).
`regrid`: fields go to the network's grid by their waves and its forecast comes back the same way,
as `foundation predict` does; around solids bilinear. What it cannot resolve is missing.
"""

from dataclasses import replace
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from data_shards.errors import UserError
from data_shards.hashing import digest
from data_shards.stream.batch import Batch
from evaluation.harness.forecaster import Forecaster
from foundation.models.native import by_waves, finer_than, on_cells
from foundation.models.rollout import rollout

Way = Literal["native", "regrid"]
_VERSION = 2  # of what the ways answer: samples of another are not taken up again


def on_data_grid(forecaster: Forecaster, way: Way) -> Forecaster:
    """A forecaster that is judged on the cells of the data.

    Args:
        forecaster: a checkpoint of planes.
        way: native or regrid.

    Raises:
        UserError: a floor, an ensemble, or a network that does not continue planes.
    """
    layout, model = forecaster.layout, forecaster.model
    if layout is None or model is None or forecaster.reconstructs or len(layout.grid) != 2:
        raise UserError(
            f"{forecaster.facts.name}: --grid {way} is of one checkpoint that continues planes"
        )
    own: tuple[int, int] = (layout.grid[0], layout.grid[1])

    def native(batch: Batch, steps: int) -> Tensor:
        finer = finer_than(_grid(batch), own)
        return rollout(on_cells(model, finer, _periodic(batch)), batch, steps)

    def regridded(batch: Batch, steps: int) -> Tensor:
        if _grid(batch) == own:
            return rollout(model, batch, steps)
        around, solid = _periodic(batch), not bool((batch.valid_mask > 0).all())
        small = replace(
            batch,
            given=_resampled(batch.given, own, around, solid),
            valid_mask=(_resampled(batch.valid_mask, own, around, True) >= 0.5).to(batch.given),
            asked=batch.asked[:, :0],
        )
        return _resampled(rollout(model, small, steps), _grid(batch), around, solid)

    facts = forecaster.facts.model_copy(
        update={
            "name": f"{forecaster.facts.name} ({way})",
            "fingerprint": digest([forecaster.facts.fingerprint, way, _VERSION]),
        }
    )
    forecast = native if way == "native" else regridded
    return replace(forecaster, facts=facts, forecast=forecast, any_grid=True)


def _resampled(
    fields: Tensor, grid: tuple[int, int], periodic: tuple[bool, bool], solid: bool
) -> Tensor:
    """Fields (..., H, W) on another grid."""
    if solid:
        *lead, rows, columns = fields.shape
        planes = fields.reshape(-1, 1, rows, columns)
        return F.interpolate(planes, size=grid, mode="bilinear", antialias=True).reshape(
            *lead, *grid
        )
    return by_waves(fields, grid, periodic)


def _grid(batch: Batch) -> tuple[int, int]:
    return batch.given.shape[-2], batch.given.shape[-1]


def _periodic(batch: Batch) -> tuple[bool, bool]:
    """Across rows and columns; of samples that do not agree neither."""
    sides = [origin.boundary or {} for origin in batch.origins]
    rows, columns = (
        bool(sides) and all(side.get(name) == "periodic" for side in sides)
        for name in ("bottom", "left")
    )
    return rows, columns
