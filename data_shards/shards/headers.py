"""Headers of a sample against manifest and card: shapes, types and description; no field is read.

What does not fit would end a run in its middle, or let it learn from something else.
"""

import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from data_shards.errors import UserError
from data_shards.shards.index import Sample, ShardFile
from data_shards.shards.manifest import CorpusEntry


def header_fault(shard: ShardFile, sample: Sample, entry: CorpusEntry) -> str | None:
    """The first fault of a sample's headers and description, or None."""
    try:
        fields, mask = shard.kind(sample.fields), shard.kind(sample.mask)
        meta = shard.metadata(sample)
    except UserError as error:
        return str(error).removeprefix(f"shard {shard.path.name}: ")
    wanted = (entry.frames, len(entry.card.channels), *entry.grid)
    if fields != (entry.storage, wanted):
        return f"fields are {fields[0]} {fields[1]}, the card says {entry.storage} {wanted}"
    if mask[1] != entry.grid:
        return f"mask {mask[1]} is not {entry.grid} of zeros and ones"
    if (meta.get("corpus"), meta.get("split")) != (entry.corpus, entry.split):
        return f"belongs to {meta.get('corpus')} {meta.get('split')}"
    wrong = [key for key, right in _DESCRIBED.items() if not right(meta.get(key))]
    return f"its description has no usable {', '.join(wrong)}" if wrong else None


def parameters_of(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Parameters of a description, which holds them as text; None if it does not."""
    try:
        values = json.loads(meta.get("parameters", "{}"))
    except (ValueError, TypeError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _extent(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (4, 6) and all(map(_number, value))


def _sides(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(side, str) for side in value.values())


_DESCRIBED: dict[str, Callable[[Any], bool]] = {
    "dt_s": _number,
    "extent": _extent,
    "boundary": _sides,
    "parameters": lambda value: parameters_of({"parameters": value}) is not None,
}
