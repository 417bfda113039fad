"""Texts of strangers: plain values or one line, in bounded time and memory, whatever they hold."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from data_shards.config import read_yaml
from data_shards.errors import UserError
from data_shards.formats.npy import parse_header
from data_shards.shards.manifest import read_manifest
from data_shards.untrusted import parse_json, parse_yaml, read_text

MUTANTS = 300
CARD = Path(__file__).parents[2] / "data_shards" / "cards" / "cfdbench.yaml"


def anchors(levels: int, uses: int) -> str:
    """A text whose values number uses ** levels once its anchors are written out."""
    lines = ["a0: &a0 [1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * uses)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (anchors(12, 9), "its anchors expand to more than"),
        ("&a [*a]", "nested too deeply"),
        ("[" * 5000, "nested too deeply"),
        ("\n".join(" " * n + "a:" for n in range(2000)), "nested too deeply"),
        ("a: b: c", "not readable as YAML"),
        ("a: 2024-13-45", "not readable as YAML"),
        ("!!python/object/apply:os.getcwd []", "not readable as YAML"),
    ],
)
def test_a_yaml_text_that_is_none_or_a_bomb_is_one_line(text, message):
    with pytest.raises(UserError, match=message) as told:
        parse_yaml(text, "card")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "1" * 5000, "{", b"\xff"])
def test_a_json_text_that_is_none_or_a_bomb_is_one_line(text):
    with pytest.raises(UserError, match="manifest: not readable as JSON") as told:
        parse_json(text, "manifest")
    assert "\n" not in str(told.value)


def test_yaml_means_what_it_means_to_the_library():
    for path in CARD.parent.glob("*.yaml"):
        assert parse_yaml(path.read_text(), "card") == yaml.safe_load(path.read_text())
    few = "a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: ~}"
    assert parse_yaml(few, "card") == yaml.safe_load(few)
    assert parse_yaml("", "card") is None


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        for read in (read_text, read_yaml):
            with pytest.raises(UserError, match="is no plain file"):
                read(path)
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(UserError, match=r"manifest\.json: is no plain file"):
        read_manifest(tmp_path)


def test_no_more_is_read_than_any_such_file_holds(tmp_path):
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no disk
    with pytest.raises(UserError, match="has more than 4194304 bytes"):
        read_yaml(tmp_path / "large.yaml")


def mutants(text: bytes, rng: np.random.Generator) -> list[bytes]:
    """The text with bytes replaced, pieces cut out, doubled or moved."""
    found = []
    for number in range(MUTANTS):
        content = bytearray(text)
        first, last = sorted(rng.integers(0, len(text), 2).tolist())
        last = min(last, first + 64)
        match number % 4:
            case 0:
                for place in rng.integers(0, len(text), 8):
                    content[place] = rng.integers(256)
            case 1:
                del content[first:last]
            case 2:
                content[first:first] = content[first:last] * 3
            case 3:
                content[first:last] = bytes(rng.choice(list(b"{}[]\"':,-&*!#\n 09"), 16).tolist())
        found.append(bytes(content))
    return found


@pytest.mark.attack
def test_no_numpy_header_ends_in_a_traceback(rng, record_property):
    """Changed as texts are, of a length that is announced as it is."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }".ljust(117) + b"\n"
    told = []
    for content in mutants(text, rng):
        head = b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content
        try:
            parse_header(head)
        except ValueError as error:
            told.append(str(error))
    assert not any("\n" in line for line in told)
    record_property("attack", "bytes and pieces of a NumPy header changed")
    record_property("trials", MUTANTS)
    record_property("outcome", f"{len(told)} refused, {MUTANTS - len(told)} read")
    assert len(told) > MUTANTS / 4


def taken(read: Any, path: Path) -> bool:
    """Whether a file is read; anything but one line of a `UserError` fails the test."""
    try:
        read(path)
    except UserError as error:
        return "\n" in str(error)
    return True


@pytest.mark.attack
def test_no_change_of_a_manifest_or_a_card_ends_in_a_traceback(
    tmp_path, write_toy, rng, record_property
):
    from data_shards.catalogue import read_card

    write_toy(tmp_path, "toy_flow")
    manifest, card = tmp_path / "manifest.json", tmp_path / "card.yaml"
    whole = json.dumps(json.loads(manifest.read_text())).encode()
    refused = 0
    for content in mutants(whole, rng):
        manifest.write_bytes(content)
        refused += not taken(lambda path: read_manifest(path.parent), manifest)
    for content in mutants(CARD.read_bytes()[:1500], rng):
        card.write_bytes(content)
        refused += not taken(read_card, card)
    record_property("attack", "bytes and pieces of a manifest and of a card changed")
    record_property("trials", 2 * MUTANTS)
    record_property("outcome", f"{refused} refused, {2 * MUTANTS - refused} read")
    assert refused > MUTANTS
