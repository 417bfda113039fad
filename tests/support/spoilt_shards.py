"""Shards with a bad value in them, as a writer that does not check leaves them."""

import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import Any

from data_shards.shards.index import ShardFile

_NPY_HEADER = 128


def with_value(
    shards: Path, folder: Path, value: float, *, trajectory: int, frame: int, corpus: str
) -> Path:
    """A copy of shards, with another first value in a frame of the corpus's training split."""
    shutil.copytree(shards, folder)
    record = _record(json.loads((folder / "manifest.json").read_text()), corpus)
    path = folder / record["name"]
    shard = ShardFile(path)
    fields = shard.samples[trajectory].fields
    frames = shard.array(fields).shape[0]
    offset = fields.offset + _NPY_HEADER + frame * (fields.size - _NPY_HEADER) // frames
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = struct.pack("<f", value)
    replace_shard(path, bytes(content))
    return folder


def replace_shard(path: Path, content: bytes) -> None:
    """Write a shard of other content, and what its manifest says of it."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    manifest = path.parent / "manifest.json"
    values = json.loads(manifest.read_text())
    for entry in values["entries"]:
        for record in entry["shards"]:
            if record["name"] == path.name:
                record["sha256"] = hashlib.sha256(content).hexdigest()
                record["bytes"] = len(content)
    manifest.write_text(json.dumps(values))


def _record(manifest: dict[str, Any], corpus: str) -> dict[str, Any]:
    (entry,) = (e for e in manifest["entries"] if (e["corpus"], e["split"]) == (corpus, "train"))
    record: dict[str, Any] = entry["shards"][0]
    return record
