"""A foreign model: any callable with the layout that it takes; forecasts of a batch out.

Axes: B samples, T frames, C channels of the layout, S its grid of one to three axes.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from foundation.models.rollout import rollout
from foundation.models.types import Prediction


@dataclass(frozen=True)
class ForeignModel:
    """What a factory returns.

    A context is in physical units, (B, T, C, *S): a corpus's channels come first, its obstacle
    mask follows where its card says so, and what is left over holds ones.

    Attributes:
        forecast: context and number of frames in, (B, steps, C, *S) out; the corpus's asked
            channels come first, and further ones are not looked at.
        layout: grid and channels that it takes; by default those of each corpus.
        context_frames: how many of the latest frames it takes; by default all that a task gives.
        rolled: `forecast` takes the context alone and gives the next frame or frames, of all
            channels; they are fed back as those of our own models are, and padding, masks and
            solid cells are carried over.
        whole_batch: `forecast` takes the `Batch` in the place of the context, with the masks, and
            the origins: time step, extent, boundaries and parameters.
        files: that decide its answers beside its source and its networks, such as arrays that it
            reads; they are part of its fingerprint.
    """

    forecast: Callable[..., Tensor]
    layout: ModelLayout | None = None
    context_frames: int | None = None
    rolled: bool = False
    whole_batch: bool = False
    files: tuple[str | Path, ...] = ()

    def answer(self, batch: Batch, steps: int) -> Tensor:
        """Forecast a batch (B, steps, C, *S).

        Raises:
            UserError: the model gives something else.
        """
        if not self.rolled:
            return self._checked(self.forecast(self._seen(batch), steps), batch, steps)

        def one_call(each: Batch) -> Prediction:
            fields = self._checked(self.forecast(self._seen(each)), each, None)
            return Prediction(fields, (), fields.new_empty(len(each), 0))

        return rollout(one_call, batch, steps)

    def networks(self) -> list[nn.Module]:
        """Networks that it computes with: the callable, or what it is bound to or encloses."""
        return list(_networks(self.forecast, set()))

    def _seen(self, batch: Batch) -> Batch | Tensor:
        return batch if self.whole_batch else batch.given

    def _checked(self, fields: Any, batch: Batch, steps: int | None) -> Tensor:
        grid, channels = tuple(batch.given.shape[3:]), batch.asked_mask.shape[1]
        least = channels if self.rolled else int(batch.asked_mask.sum(1).max())
        fits = (
            isinstance(fields, Tensor)
            and fields.is_floating_point()
            and fields.ndim == batch.given.ndim
            and len(fields) == len(batch)
            and (fields.shape[1] == steps or (steps is None and fields.shape[1] > 0))
            and least <= fields.shape[2] <= channels
            and tuple(fields.shape[3:]) == grid
        )
        if not fits:
            came = tuple(fields.shape) if isinstance(fields, Tensor) else type(fields).__name__
            kind = f" of {fields.dtype}" if isinstance(fields, Tensor) else ""
            some = f"{least} to {channels}" if least < channels else str(channels)
            wanted = ", ".join(map(str, (len(batch), steps or "1 or more", some, *grid)))
            raise UserError(f"it gives {came}{kind}; wanted floating-point ({wanted})")
        given: Tensor = fields
        return given.to(batch.given.device)


def _networks(called: object, seen: set[int]) -> Iterator[nn.Module]:
    """Those that a callable is, is bound to, holds or encloses, through functions of its file."""
    if id(called) in seen:
        return
    seen.add(id(called))
    if isinstance(called, nn.Module):
        yield called
        return
    for part in _each(_parts(called)):
        near = getattr(part, "__module__", None) == getattr(called, "__module__", None)
        if isinstance(part, nn.Module) or (callable(part) and near):
            yield from _networks(part, seen)


def _each(parts: Iterable[object]) -> Iterator[object]:
    """Parts, and what lists and mappings among them hold, as an ensemble's members."""
    for part in parts:
        if isinstance(part, Mapping):
            yield from part.values()
        elif isinstance(part, list | tuple):
            yield from part
        else:
            yield part


def _parts(called: object) -> list[object]:
    if isinstance(called, partial):
        return [called.func, *called.args, *called.keywords.values()]
    if inspect.ismethod(called):
        return [called.__self__, called.__func__, *vars(called.__self__).values()]
    if inspect.isfunction(called):
        named = inspect.getclosurevars(called)
        return [*named.nonlocals.values(), *named.globals.values()]
    return list(getattr(called, "__dict__", {}).values())
