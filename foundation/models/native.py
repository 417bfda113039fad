"""A network on grids that are not its own: a batch in, its prediction on the batch's own cells out.

Axes: B samples, T frames, C channels, H rows and W columns of the batch; R of the network's grid.
A network has learnt fields as its own cells show them. Where cells are finer by a whole number
along an axis, every second (third, ...) cell makes a field such as it knows, on the whole domain;
each of these interleaved fields is predicted, and together they are the answer on all cells.
Nothing is lost by averaging, and what is predicted several times over is averaged: waves that
the network's grid does not resolve are no prediction of its, so they are taken out again, where
fields know no solids, and those of the last frame may be kept in their place.
Where the domain is longer along an axis and cells are the network's, there are more tokens and the
network itself goes on (`OperatorTransformer`). On the network's own grid it is called as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.simulation_file.regrid import wave_matrix
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction

Model = Callable[[Batch], Prediction]
_WHOLE = 1e-3  # how far a ratio of cells may be from a whole number


@dataclass(frozen=True)
class Finer:
    """How many cells of a grid lie in one of the network's, along rows and columns."""

    rows: int
    columns: int

    @property
    def parts(self) -> int:
        """Interleaved fields."""
        return self.rows * self.columns


def finer_than(
    grid: tuple[int, ...], own: tuple[int, ...], lengths: tuple[float, float] | None = None
) -> Finer:
    """How a grid divides the network's cells.

    Args:
        grid: rows and columns of the fields.
        own: those of the network.
        lengths: of the domain along y and x, of which the shorter one is as long as what the
            network learnt; None: the domain is the network's, whatever the number of cells.

    Raises:
        UserError: not by whole numbers, or by cells that are coarser than the network's.
    """
    if len(grid) != 2 or len(own) != 2:
        raise UserError(f"fields on {grid}, a network of {own}: only planes are divided")
    shares = [1.0, 1.0] if lengths is None else [min(lengths) / length for length in lengths]
    ratios = [count * share / side for count, share, side in zip(grid, shares, own, strict=True)]
    whole = [round(ratio) for ratio in ratios]
    if any(n < 1 or abs(r - n) > _WHOLE * n for r, n in zip(ratios, whole, strict=True)):
        told = " x ".join(f"{ratio:.3g}" for ratio in ratios)
        raise UserError(
            f"fields on {grid} have {told} cells in one of the network's {own}; wanted whole "
            "numbers of 1 or more: regrid them"
        )
    return Finer(*whole)


def on_cells(model: Model, finer: Finer, periodic: tuple[bool, bool] = (False, False)) -> Model:
    """A network as one of a finer grid.

    Args:
        model: of its own cells.
        finer: how many of the batch's cells lie in one of them.
        periodic: whether rows and columns go on across their ends.

    Returns:
        A model of such batches: the same model where there is nothing to divide.
    """
    if finer.parts == 1:
        return model

    def predict(batch: Batch) -> Prediction:
        found = [model(part).fields for part in interleaved(batch, finer)]
        fields = joined(found, finer)
        if bool((batch.valid_mask > 0).all()):
            fields = resolved(fields, finer, periodic)
        return Prediction(fields, (), fields.new_empty(len(batch), 0))

    return predict


def interleaved(batch: Batch, finer: Finer) -> list[Batch]:
    """Batches of every so many cells, on the network's grid; what is asked is left behind."""
    return [
        replace(
            batch,
            given=batch.given[..., row :: finer.rows, column :: finer.columns],
            valid_mask=batch.valid_mask[..., row :: finer.rows, column :: finer.columns],
            asked=batch.asked[:, :0],
        )
        for row in range(finer.rows)
        for column in range(finer.columns)
    ]


def joined(parts: list[Tensor], finer: Finer) -> Tensor:
    """Interleaved fields (..., R, Q) each, as one (..., H, W)."""
    *lead, rows, columns = parts[0].shape
    whole = parts[0].new_empty(*lead, rows * finer.rows, columns * finer.columns)
    for number, part in enumerate(parts):
        row, column = divmod(number, finer.columns)
        whole[..., row :: finer.rows, column :: finer.columns] = part
    return whole


def resolved(fields: Tensor, finer: Finer, periodic: tuple[bool, bool]) -> Tensor:
    """Fields (..., H, W) without waves that the network's grid does not resolve."""
    rows, columns = fields.shape[-2:]
    if finer.rows > 1:
        fields = _kept(rows, finer.rows, periodic[0]).to(fields) @ fields
    if finer.columns > 1:
        fields = fields @ _kept(columns, finer.columns, periodic[1]).to(fields).t()
    return fields


def _kept(cells: int, factor: int, periodic: bool) -> Tensor:
    """There and back again (cells, cells)."""
    down = wave_matrix(cells, cells // factor, periodic)
    return torch.from_numpy(wave_matrix(cells // factor, cells, periodic) @ down)
