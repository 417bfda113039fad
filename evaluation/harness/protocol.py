"""The protocol under which a forecast is made and scored: ours, or that of MoE-POT's authors.

`own` shows every network rows before columns and channels in the card's order, feeds back what is
predicted alone (padding, an obstacle and solid cells stay what they are) and scores fluid cells.
`reference` is what the authors' programs of MoE-POT and DPOT do with their arrays: x before y where
their preparation has it so, channels in its order, padding and obstacle fed back as predicted,
solid cells scored as any others. A checkpoint of theirs has learnt the latter.

Axes: B samples, T frames, C channels, H rows, W columns.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from data_shards.card import MASK, CorpusCard
from data_shards.errors import UserError
from data_shards.prepared import channels_in_order, rows_first
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from evaluation.tasks.task import ProtocolName, Task


def under(task: Task, protocol: ProtocolName | None) -> Task:
    """A task under the protocol of a checkpoint, where that has one of its own."""
    return task if protocol is None else task.model_copy(update={"protocol": protocol})


@dataclass(frozen=True)
class AuthorsOrder:
    """How the authors' arrays of a corpus differ from ours.

    Attributes:
        turned: whether x comes before y.
        channels: our channel in each of theirs, as many as the model has.
    """

    turned: bool
    channels: tuple[int, ...]

    def theirs(self, batch: Batch) -> Batch:
        """A batch as their programs would show it, all of it to be fed back as predicted."""
        return replace(
            batch,
            given=self._turn(batch.given[:, :, list(self.channels)]),
            asked_mask=torch.ones_like(batch.asked_mask),
            valid_mask=torch.ones_like(self._turn(batch.valid_mask)),
        )

    def ours(self, fields_BTCHW: Tensor) -> Tensor:
        """What was predicted, in our order."""
        back = [self.channels.index(channel) for channel in range(len(self.channels))]
        return self._turn(fields_BTCHW)[:, :, back]

    def _turn(self, fields: Tensor) -> Tensor:
        return fields.transpose(-1, -2) if self.turned else fields


def authors_order(card: CorpusCard, layout: ModelLayout) -> AuthorsOrder:
    """The authors' order of a corpus, for a model that knows its channels by place.

    Raises:
        UserError: a layout that theirs cannot be: by name, of boxes, or of other sides.
    """
    if layout.slots or layout.asked_channels or len(layout.grid) != 2 or len(set(layout.grid)) > 1:
        raise UserError(
            f"protocol reference: is that of networks of square planes which predict what they are "
            f"given, by place; this one takes {layout.grid}, {layout.slots or layout.channels}; "
            "choose protocol own"
        )
    ours = [*card.channel_names, *((MASK,) if card.mask_as_channel else ())]
    order = [ours.index(name) for name in channels_in_order(card)]
    padding = range(len(order), layout.channels)
    return AuthorsOrder(not rows_first(card), (*order, *padding))
