"""Checkpoints of a training folder are those that were written, or are passed over."""

import json
from pathlib import Path

import pytest

from data_shards.errors import UserError
from foundation.checkpoint.saved import MANIFEST, Checkpoint, newest_checkpoint, read_manifest
from foundation.parallel.layout import Layout

LAYOUT = Layout(world=1, ep_size=1, zero_stage=1, bf16=False)


def saved(folder: Path, step: int) -> Path:
    checkpoint = folder / f"step-{step:08d}"
    checkpoint.mkdir()
    for name in ("weights.pt", "optimiser.pt"):
        (checkpoint / name).write_bytes(bytes(range(256)) * step)
    manifest = Checkpoint.of(checkpoint, ["optimiser.pt", "weights.pt"], step, 8 * step, LAYOUT)
    (checkpoint / MANIFEST).write_text(manifest.model_dump_json())
    return checkpoint


@pytest.mark.parametrize("bit", [0, 1234 * 8 + 3, 2047])
def test_one_flipped_bit_is_found_and_the_one_before_is_taken(tmp_path, bit):
    saved(tmp_path, 7)
    file = saved(tmp_path, 8) / "optimiser.pt"
    assert newest_checkpoint(tmp_path, contents=True)[0] == "step-00000008"
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="passed over: .*optimiser.pt: changed since it was"):
        assert newest_checkpoint(tmp_path, contents=True)[0] == "step-00000007"
    with pytest.raises(UserError, match="changed since") as told:
        read_manifest(file.parent, contents=True)
    assert "\n" not in str(told.value)


def test_a_manifest_of_other_samples_is_not_believed(tmp_path):
    checkpoint = saved(tmp_path, 3)
    values = json.loads((checkpoint / MANIFEST).read_text())
    (checkpoint / MANIFEST).write_text(json.dumps(values | {"samples": 16}))
    with pytest.raises(UserError, match=r"checkpoint\.json: changed since it was written"):
        read_manifest(checkpoint)


def test_one_of_an_older_version_has_sizes_alone(tmp_path):
    checkpoint = saved(tmp_path, 3)
    values = json.loads((checkpoint / MANIFEST).read_text())
    old = {key: values[key] for key in ("step", "samples", "layout", "files")}
    (checkpoint / MANIFEST).write_text(json.dumps(old))
    assert read_manifest(checkpoint, contents=True).samples == 24
    (checkpoint / "weights.pt").write_bytes(b"")
    with pytest.raises(UserError, match="0, its manifest says 768 bytes"):
        read_manifest(checkpoint)
