"""A network on grids that are not its own: a batch in, its prediction on the batch's own cells out.

Axes: B samples, T frames, C channels, H rows and W columns of the batch; R of the network's grid.
A network has learnt fields as its own cells show them. Where cells are finer by a whole number
along an axis that goes on across its ends, every second (third, ...) cell makes a field such as it
knows, on the whole domain; each of these interleaved fields is predicted, and together they are
the answer on all cells: what is predicted several times over is averaged. Between walls they would
lie nearer to one wall than those that were learnt, so that fields go to the network's cells by
their waves, and the answer back. Waves that the network's grid does not resolve would look to it
like others: they are taken out before, and those of the last frame fade in the answer as they did
before it (a layer at a wall stays). Around solids, where there are no waves, all is interleaved; a
solid that is thinner than one of the network's cells is then in some of the fields only.
Where the domain is longer along an axis and cells are the network's, there are more tokens and the
network itself goes on (`OperatorTransformer`). On the network's own grid it is called as it is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import isfinite

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
        UserError: not by whole numbers, by cells that are coarser than the network's, or lengths
            are none.
    """
    if len(grid) != 2 or len(own) != 2:
        raise UserError(f"fields on {grid}, a network of {own}: only planes are divided")
    if lengths is not None and not (
        len(lengths) == 2 and all(isfinite(length) and length > 0 for length in lengths)
    ):
        raise UserError(f"lengths={lengths}: wanted two positive numbers, along y and x")
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
        if bool((batch.valid_mask > 0).all()):
            fields = _resolved(model, batch, finer, periodic)
        else:
            fields = _in_parts(model, batch, finer)
        return Prediction(fields, (), fields.new_empty(len(batch), 0))

    return predict


def _in_parts(model: Model, batch: Batch, finer: Finer) -> Tensor:
    return joined((model(part).fields for part in interleaved(batch, finer)), finer)


def _resolved(model: Model, batch: Batch, finer: Finer, periodic: tuple[bool, bool]) -> Tensor:
    """An answer to what the network's grid resolves, and what it does not, fading."""
    grid = (batch.given.shape[-2], batch.given.shape[-1])
    own = (grid[0] // finer.rows, grid[1] // finer.columns)
    # Cells that the network is shown: all where the domain goes on, its own between walls.
    shown = (grid[0] if periodic[0] else own[0], grid[1] if periodic[1] else own[1])
    apart = Finer(shown[0] // own[0], shown[1] // own[1])
    kept = by_waves(batch.given, own, periodic)
    routed_by = batch.routed_by
    if routed_by is not None:
        routed_by = by_waves(by_waves(routed_by, own, periodic), shown, periodic)
    known = replace(
        batch,
        given=by_waves(kept, shown, periodic),
        valid_mask=batch.valid_mask.new_ones(*batch.valid_mask.shape[:-2], *shown),
        routed_by=routed_by,
    )
    answer = by_waves(_in_parts(model, known, apart), own, periodic)
    fields = by_waves(answer, grid, periodic)
    if fields.shape[2] == batch.given.shape[2]:  # else other channels are asked
        fields = fields + _fading(batch.given - by_waves(kept, grid, periodic), fields.shape[1])
    return fields


def _fading(short_BTCHW: Tensor, frames: int) -> Tensor:
    """The next frames (B, F, C, H, W) of short waves that fade as they did by the last frame."""
    last, before = short_BTCHW[:, -1:], short_BTCHW[:, -2:-1]
    if before.shape[1] == 0:
        return last
    alike = (last * before).sum((-2, -1), keepdim=True)
    size = before.square().sum((-2, -1), keepdim=True)
    left = (alike / size.clamp(min=torch.finfo(size.dtype).tiny)).clamp(0, 1)
    number = torch.arange(1, frames + 1, device=left.device).view(1, -1, 1, 1, 1)
    return last * left**number


def interleaved(batch: Batch, finer: Finer) -> list[Batch]:
    """Batches of every so many cells, on the network's grid; what is asked is left behind."""

    def part(row: int, column: int) -> Batch:
        cells = (..., slice(row, None, finer.rows), slice(column, None, finer.columns))
        return replace(
            batch,
            given=batch.given[cells],
            valid_mask=batch.valid_mask[cells],
            asked=batch.asked[:, :0],
            routed_by=None if batch.routed_by is None else batch.routed_by[cells],
        )

    return [part(row, column) for row in range(finer.rows) for column in range(finer.columns)]


def joined(parts: Iterable[Tensor], finer: Finer) -> Tensor:
    """Interleaved fields (..., R, Q) each, as one (..., H, W); each is read before the next.

    A network whose calls are replayed gives all its answers in the same memory.
    """
    whole: Tensor | None = None
    for number, part in enumerate(parts):
        if whole is None:
            *lead, rows, columns = part.shape
            whole = part.new_empty(*lead, rows * finer.rows, columns * finer.columns)
        row, column = divmod(number, finer.columns)
        whole[..., row :: finer.rows, column :: finer.columns] = part
    assert whole is not None
    return whole


def by_waves(fields: Tensor, grid: tuple[int, int], periodic: tuple[bool, bool]) -> Tensor:
    """Fields (..., H, W) on another grid of the same domain, by all waves that both resolve.

    In float64, so that what is constant stays so: rounding of padding is noise to a network.
    """
    rows, columns = fields.shape[-2:]
    moved = fields.double()
    if rows != grid[0]:
        moved = _waves(rows, grid[0], periodic[0]).to(moved) @ moved
    if columns != grid[1]:
        moved = moved @ _waves(columns, grid[1], periodic[1]).to(moved).t()
    return moved.to(fields)


def _waves(source: int, result: int, periodic: bool) -> Tensor:
    return torch.tensor(wave_matrix(source, result, periodic))
