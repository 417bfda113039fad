"""Samples that nothing can be learnt from: a batch in, which and why, and a batch without them.

Axes: B samples, T frames, C channels, S the grid.
Faulty are the data, whatever a model makes of them: a value that is not finite, or so large that
its square is not, in what is given or in what is asked. Such a sample is left out by taking its
nearest whole neighbour in the stream instead, so that batches keep their size, and the same samples
are seen whatever the ranks.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.stream import SampleStream

_FARTHEST = 1000  # samples away that a whole neighbour is looked for


def faulty(batch: Batch) -> list[int]:
    """Rows of the samples whose data are at fault."""
    bad_B = _overflows(batch.given) | _overflows(batch.asked)
    rows: list[int] = bad_B.nonzero().flatten().tolist()
    return rows


def fault_of(batch: Batch, row: int) -> str:
    """What is wrong with the data of a sample: "toy/train-000003@5 (asked holds NaN)"."""
    for side, fields in (("given", batch.given[row]), ("asked", batch.asked[row])):
        if not _overflows(fields[None]).any():
            continue
        largest = fields.abs().max().item()  # of a NaN, NaN
        what = "holds NaN" if largest != largest else f"reaches {largest:.3g}"
        return f"{batch.keys[row]} ({side} {what})"
    return batch.keys[row]


def without_faulty(batch: Batch, stream: SampleStream, first: int) -> tuple[Batch, list[str]]:
    """The batch with whole neighbours in place of its faulty samples, and what was wrong there.

    Args:
        batch: samples first, first + 1, ... of the stream.
        stream: that it comes from.
        first: number of its first sample.

    Raises:
        UserError: there is no whole sample far and wide.
    """
    rows = faulty(batch)
    if not rows:
        return batch, []
    whole = {row: _neighbour(stream, first + row) for row in rows}
    return batch.with_rows(whole), [fault_of(batch, row) for row in rows]


def _overflows(fields: Tensor) -> Tensor:
    """Whether the sum of squares of a sample is not finite in float32: (B,)."""
    return ~torch.isfinite(fields.float().square().flatten(1).sum(1))


def _neighbour(stream: SampleStream, number: int) -> Batch:
    for candidate in _outwards(number):
        one = stream.decode(candidate, 1)
        if not faulty(one):
            return one
    key = stream.sample_keys(number, 1)[0]
    raise UserError(f"{key}: none of its {_FARTHEST} neighbours is finite; mend the shards")


def _outwards(number: int) -> Iterator[int]:
    """The numbers before and after a number, the nearest first."""
    for away in range(1, _FARTHEST + 1):
        if away <= number:
            yield number - away
        yield number + away
