"""Networks that take frames stacked as channels: such a network in, a foreign model out.

Axes: B samples, T frames, C channels, S the grid. Frames lie one after the other, all channels of
the first one first: `(B, T * C, *S) -> (B, k * C, *S)`, k next frames. So the networks of
`neuraloperator` (FNO, TFNO, UNO) and the baselines of The Well take theirs, some of the latter with
channels last; nothing of either is imported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.stream.layout import ModelLayout
from evaluation.foreign.model import ForeignModel

SMALLEST = 1e-7  # of a sample's deviation, relative to its largest value: constant channels


@dataclass(frozen=True)
class Units:
    """Means and deviations of the layout's channels over the data that a network was trained on.

    Attributes:
        mean: of the given fields.
        std: of the given fields.
        out_mean: of the network's answers; those of the fields by default. A network that answers
            with increments has its own.
        out_std: of the network's answers.
    """

    mean: Sequence[float]
    std: Sequence[float]
    out_mean: Sequence[float] | None = None
    out_std: Sequence[float] | None = None


class _Stacked(nn.Module):
    """The next frames, in physical units, from a context in physical units.

    Buffers: mean and deviation of each channel (2, C), of what is given and of what is answered.
    """

    given: Tensor | None
    asked: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        units: Units | Literal["sample"] | None,
        increment: bool,
        x_first: bool,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self._increment, self._x_first, self._last = increment, x_first, channels_last
        self._sample = units == "sample"
        given = asked = None
        if isinstance(units, Units):
            given = torch.tensor([[*units.mean], [*units.std]], dtype=torch.float32)
            out_mean = units.mean if units.out_mean is None else units.out_mean
            out_std = units.std if units.out_std is None else units.out_std
            asked = torch.tensor([[*out_mean], [*out_std]], dtype=torch.float32)
        self.register_buffer("given", given)
        self.register_buffer("asked", asked)

    def forward(self, context: Tensor) -> Tensor:
        """(B, T, C, *S) -> (B, k, C, *S)."""
        channels, last = context.shape[2], context[:, -1:]
        (mean, std), (out_mean, out_std) = self._units(context)
        stacked = ((context - mean) / std).flatten(1, 2)
        answer = self._answer(stacked)
        if answer.ndim != stacked.ndim or answer.shape[1] % channels:
            raise UserError(
                f"its network gives {tuple(answer.shape)}; wanted {channels} channels, or some "
                "frames of them, on the grid that it was given"
            )
        frames: Tensor = answer.reshape(len(answer), -1, channels, *answer.shape[2:])
        frames = frames * out_std + out_mean
        return last + frames.cumsum(1) if self._increment else frames

    def _answer(self, stacked: Tensor) -> Tensor:
        """In the network's order of axes, and back."""
        x = stacked.transpose(-1, -2) if self._x_first else stacked
        answer: Tensor = self.network(x.movedim(1, -1) if self._last else x)
        answer = answer.movedim(-1, 1) if self._last else answer
        return answer.transpose(-1, -2) if self._x_first else answer

    def _units(self, context: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Mean and deviation of what is given and of what is answered."""
        one, none = context.new_ones(()), context.new_zeros(())
        if self._sample:
            axes = (1, *range(3, context.ndim))
            mean = context.mean(axes, keepdim=True)
            std = context.std(axes, correction=0, keepdim=True)
            least = SMALLEST * context.abs().amax(axes, keepdim=True)
            std = torch.where(std > least, std, one)
            return (mean, std), (none if self._increment else mean, std)
        if self.given is None or self.asked is None:
            return (none, one), (none, one)
        shape = (2, 1, 1, -1, *(1,) * (context.ndim - 3))
        given, asked = self.given.reshape(shape), self.asked.reshape(shape)
        return (given[0], given[1]), (asked[0], asked[1])


def stacked_frames(
    network: nn.Module,
    layout: ModelLayout,
    *,
    context_frames: int,
    units: Units | Literal["sample"] | None = None,
    increment: bool = False,
    x_first: bool = False,
    channels_last: bool = False,
) -> ForeignModel:
    """A network of frames stacked as channels, rolled out.

    Args:
        network: `(B, T * C, *S) -> (B, k * C, *S)`, k next frames.
        layout: its grid and its C channels.
        context_frames: T.
        units: what it is normalised by: figures of its training data, each sample's own ("sample":
            mean and deviation of each channel of the context), or nothing.
        increment: it answers with the changes from frame to frame. Under "sample", and under
            `Units` without figures of answers, these are in deviations of the fields, about 0.
        x_first: it knows planes as (x, y), as The Well's files have them; ours are (y, x).
        channels_last: it takes and gives channels last, as AFNO, AViT and ReFNO of The Well do.

    Raises:
        UserError: as many figures as there are no channels.
    """
    if isinstance(units, Units):
        for name in ("mean", "std", "out_mean", "out_std"):
            figures = getattr(units, name)
            if figures is not None and len(figures) != layout.channels:
                raise UserError(
                    f"units: {name} has {len(figures)} figures for {layout.channels} channels"
                )
        if increment and units.out_mean is None:
            units = Units(units.mean, units.std, [0.0] * layout.channels, units.out_std)
    model = _Stacked(network, units, increment, x_first, channels_last)
    return ForeignModel(model, layout, context_frames, rolled=True)
