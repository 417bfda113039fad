"""Weights in one file or in shards are the same checkpoint; damage is told in one line."""

import errno
import json
import os
import struct
from collections.abc import Iterator
from functools import reduce
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from architectures import SIZES, config_of, network_of
from safetensors.torch import load_file, save_file

from data_shards.errors import UserError
from foundation import Surrogate
from foundation.checkpoint.folder import fingerprint_of, save_folder
from foundation.checkpoint.sums import SUMS
from foundation.checkpoint.weights import (
    digest_weights,
    read_tensors,
    stored_tensors,
    write_weights,
)

SMALL = "20KB"  # several shards at the sizes of a test


def write(folder: Path, name: str = "moe_pot", size: int | str = "5GB") -> Path:
    network = network_of(name, seed=3)
    save_folder(folder, config_of(name), network.state_dict(), {"steps": 7}, size)
    return folder


@pytest.fixture
def sharded(tmp_path) -> Path:
    return write(tmp_path / "sharded", size=SMALL)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*.safetensors"))


@pytest.mark.parametrize("name", SIZES)
def test_shards_hold_what_one_file_holds_and_have_its_fingerprint(tmp_path, name, generator):
    whole, parts = write(tmp_path / "whole", name), write(tmp_path / "parts", name, SMALL)
    assert len(shards(parts)) > 1
    assert all(path.stat().st_size < 40_000 or len(load_file(path)) == 1 for path in shards(parts))
    assert not (parts / "model.safetensors").exists()
    one, many = Surrogate.from_pretrained(whole), Surrogate.from_pretrained(parts)
    context = torch.randn(1, 10, 4, 16, 16, generator=generator)
    assert torch.equal(one.forecast(context, 3), many.forecast(context, 3))
    assert one.fingerprint == many.fingerprint


def test_the_fingerprint_of_one_file_is_that_of_its_bytes_as_ever(tmp_path):
    folder = write(tmp_path / "whole")
    model = json.loads((folder / "config.json").read_text())["model"]
    text = json.dumps(model, sort_keys=True).encode()
    wanted = sha256(text + (folder / "model.safetensors").read_bytes()).hexdigest()
    assert fingerprint_of(folder) == wanted


def test_every_type_and_name_is_hashed_as_the_library_would_lay_it_out(tmp_path):
    floats, whole = ("bfloat16", "float64", "float32", "float16"), ("int64", "int32", "int16")
    names = (*floats, *whole, "int8", "uint8", "bool")
    tensors = {f'{n}."ü\\': torch.ones(3, dtype=getattr(torch, n)) for n in names}
    tensors |= {"none": torch.zeros(0, 2), "scalar": torch.tensor(2.0), "a": torch.ones(2, 2)}
    digests = set()
    for size in ("5GB", 1, 30, 60):
        folder = tmp_path / str(size)
        folder.mkdir()
        write_weights(folder, tensors, size)
        digests.add(digest_weights(stored_tensors(folder), "text"))
    file = (tmp_path / "5GB" / "model.safetensors").read_bytes()
    assert digests == {sha256(b"text" + file).hexdigest()}


def test_views_of_one_buffer_are_tensors_of_their_own(tmp_path):
    buffer = torch.arange(100.0)
    views = {f"part{i}": buffer[10 * i : 10 * i + 10] for i in range(10)}
    write_weights(tmp_path, views, 80)
    assert len(shards(tmp_path)) == 5
    held = read_tensors(stored_tensors(tmp_path))
    assert all(torch.equal(held[name], view) for name, view in views.items())


def test_the_fingerprint_tells_a_single_number_and_a_name_apart(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    tensors = {"x": torch.zeros(4), "y": torch.zeros(4)}
    changed = {"x": torch.tensor([0.0, 0.0, 0.0, 1e-30]), "y": torch.zeros(4)}
    renamed = {"x": torch.zeros(4), "z": torch.zeros(4)}
    for folder, weights in zip(folders, (tensors, changed, renamed), strict=True):
        folder.mkdir()
        write_weights(folder, weights)
    assert len({digest_weights(stored_tensors(folder), "") for folder in folders}) == 3


def test_saving_again_leaves_nothing_of_the_form_before(tmp_path):
    folder = tmp_path / "model"
    prints = set()
    for size in ("5GB", SMALL, "60KB", "5GB"):
        write(folder, size=size)
        prints.add(Surrogate.from_pretrained(folder).fingerprint)
        held = {t.path.name for t in stored_tensors(folder).values()}
        assert held == {path.name for path in folder.glob("*.safetensors")}
        assert not list(folder.glob("*.partial"))
    assert len(prints) == 1


@pytest.mark.parametrize("sizes", [("5GB", SMALL), (SMALL, "5GB"), ("5GB", "5GB")])
def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path, monkeypatch, sizes):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = write(tmp_path / "model", size=sizes[0])
    before, files = fingerprint_of(folder), sorted(folder.iterdir())
    other = network_of("moe_pot", seed=4).state_dict()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save_folder(folder, config_of("moe_pot"), other, {}, sizes[1])
    assert Surrogate.from_pretrained(folder).fingerprint == before
    assert sorted(folder.iterdir()) == files
    save_folder(folder, config_of("moe_pot"), other, {}, sizes[1])
    assert fingerprint_of(folder) != before


@pytest.mark.parametrize("size", ["", "two", "-1GB", "0", 0, -3, "3 bananas"])
def test_a_size_that_is_none_is_refused_before_anything_is_written(tmp_path, size):
    model = Surrogate(network_of("fno"), config_of("fno"), {})
    with pytest.raises(UserError, match="wanted bytes, or a size such as"):
        model.save_pretrained(tmp_path / "model", max_shard_size=size)
    assert not list((tmp_path / "model").glob("*"))


def rewrite_index(folder: Path, change) -> None:
    path = folder / "model.safetensors.index.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def point_outside(folder: Path, target: str) -> None:
    first = shards(folder)[0]
    (folder.parent / "model-00001-of-00002.safetensors").write_bytes(first.read_bytes())

    def change(values):
        name = next(n for n, file in values["weight_map"].items() if file == first.name)
        values["weight_map"][name] = target

    rewrite_index(folder, change)


def swap_two(folder: Path) -> None:
    def change(values):
        names = list(values["weight_map"])
        first, last = names[0], names[-1]
        files = values["weight_map"]
        files[first], files[last] = files[last], files[first]

    rewrite_index(folder, change)


def add_tensor(folder: Path) -> None:
    path = shards(folder)[0]
    save_file(load_file(path) | {"stray": torch.zeros(2)}, path, metadata={"format": "pt"})


def lie_in_header(folder: Path, change) -> None:
    """Rewrite a header under the same length, so that the data stay in place."""
    path = shards(folder)[0]
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


def misshape(header) -> None:
    name = next(n for n in header if n != "__metadata__" and header[n]["shape"])
    header[name]["shape"] = [*header[name]["shape"], 2]


def turn(header) -> None:
    """As many numbers in another shape."""
    name = next(n for n in header if n != "__metadata__" and len(set(header[n]["shape"])) > 1)
    header[name]["shape"] = header[name]["shape"][::-1]


def reach_beyond(header) -> None:
    name = list(header)[-1]
    header[name]["data_offsets"][1] += 1 << 40


def poison(folder: Path, value: float) -> None:
    path = shards(folder)[0]
    tensors = load_file(path)
    next(t for t in tensors.values() if t.is_floating_point() and t.numel()).flatten()[0] = value
    save_file(tensors, path, metadata={"format": "pt"})
    (folder / SUMS).unlink()  # as whoever wrote these weights


def as_integers(folder: Path) -> None:
    path = shards(folder)[0]
    tensors = {name: t.to(torch.int32) for name, t in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    rewrite_index(folder, lambda values: values.pop("metadata"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shards(f)[1].unlink(), "not a whole checkpoint: model-00002.* is missing"),
        (lambda f: (f / "model.safetensors.index.json").unlink(), "model.safetensors is missing"),
        (lambda f: (f / "model.safetensors.index.json").write_text("{"), "not readable as JSON"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text("[" * 100_000),
            "not readable as JSON",
        ),
        (lambda f: rewrite_index(f, lambda v: v.pop("weight_map")), "no weight_map"),
        (lambda f: rewrite_index(f, lambda v: v.update(weight_map={"x": 3})), "wanted a file of"),
        (lambda f: point_outside(f, "../model-00001-of-00002.safetensors"), "wanted a file of"),
        (lambda f: point_outside(f, "/etc/passwd"), "wanted a file of this folder"),
        (lambda f: point_outside(f, "weights.bin"), "wanted a file of this folder"),
        (swap_two, "index and files do not belong together"),
        (lambda f: rewrite_index(f, lambda v: v["weight_map"].popitem()), "also holds 1 tensors"),
        (add_tensor, "also holds 1 tensors, stray"),
        (
            lambda f: rewrite_index(f, lambda v: v["metadata"].update(total_size=12)),
            "total_size is 12, its files hold",
        ),
        (lambda f: write_weights(f, {"x": torch.ones(1)}), "there are 1 tensors in all"),
        (lambda f: shards(f)[0].rename(f / "model.safetensors"), "holds both"),
        (lambda f: shards(f)[0].write_bytes(b""), "damaged or truncated"),
        (lambda f: shards(f)[0].write_bytes(shards(f)[0].read_bytes()[:-9]), "damaged or trunc"),
        (lambda f: shards(f)[0].write_bytes(b"\xff" * 64), "damaged or truncated"),
        (lambda f: lie_in_header(f, misshape), "damaged or truncated"),
        (lambda f: lie_in_header(f, turn), "do not belong together"),
        (lambda f: lie_in_header(f, reach_beyond), "damaged or truncated"),
        (lambda f: poison(f, float("nan")), "holds NaN or infinite values"),
        (lambda f: poison(f, float("-inf")), "holds NaN or infinite values"),
        (as_integers, "of type I32, wanted one like torch.float32"),
    ],
)
def test_damaged_shards_are_refused_in_one_line(sharded, spoil, message):
    spoil(sharded)
    if message == "holds both":
        (sharded / "model.safetensors.index.json").touch()
    with pytest.raises(UserError, match=message) as raised:
        Surrogate.from_pretrained(sharded)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width", 2**62),
        ("width", 10**30),
        ("blocks", 10**9),
        ("resolution", 2**40),
        ("channels", 2**60),
        ("router", {"num_experts": 10**9}),
        ("num_shared", 10**9),
    ],
)
def test_absurd_sizes_take_no_memory_and_no_time(tmp_path, setting, value):
    folder = write(tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    values["model"][setting] = value
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError) as raised:
        Surrogate.from_pretrained(folder)
    assert "\n" not in str(raised.value)


def whole_numbers(values: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from whole_numbers(value, (*path, key))
        elif type(value) is int:
            yield (*path, key)


@pytest.mark.parametrize("name", SIZES)
def test_no_setting_of_any_architecture_can_ask_for_all_memory_or_time(tmp_path, name):
    """Whatever a setting counts: a network that does not fit its tensors is never built."""
    folder = write(tmp_path / "model", name)
    text = (folder / "config.json").read_text()
    settings = list(whole_numbers(json.loads(text)["model"]))
    assert len(settings) > 5
    refusals = []
    for *parents, last in settings:
        values = json.loads(text)
        reduce(dict.__getitem__, parents, values["model"])[last] = 10**9
        (folder / "config.json").write_text(json.dumps(values))
        try:
            Surrogate.from_pretrained(folder)
        except UserError as error:
            refusals.append(str(error))
    assert not any("\n" in refusal for refusal in refusals)
    assert len(refusals) >= len(settings) - 1  # a transformer keeps as many modes as there are


@pytest.mark.parametrize("name", ["fno", "unet"])
def test_a_grid_that_no_weight_tells_is_bounded(tmp_path, name):
    folder = write(tmp_path / "model", name)
    values = json.loads((folder / "config.json").read_text())
    values["model"]["resolution"] = 10**9
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"resolution.*4096"):
        Surrogate.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "../x.bin"}, "unknown key 'weights'"),
        ({"about": [1]}, "about is \\[1\\], wanted an object"),
        ({"model": 3}, "wanted a mapping"),
    ],
)
def test_what_a_configuration_does_not_hold_is_refused(tmp_path, change, message):
    folder = write(tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(UserError, match=message):
        Surrogate.from_pretrained(folder)


def test_half_precision_weights_are_read_as_float32(tmp_path):
    folder = write(tmp_path / "model")
    path = folder / "model.safetensors"
    half = {n: t.half() if t.is_floating_point() else t for n, t in load_file(path).items()}
    save_file(half, path, metadata={"format": "pt"})
    (folder / SUMS).unlink()
    tensors = read_tensors(stored_tensors(folder))
    assert {t.dtype for t in tensors.values()} == {torch.float32, torch.int64}
    assert Surrogate.from_pretrained(folder).network.position.dtype == torch.float32
