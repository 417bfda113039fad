"""Texts that strangers wrote, such as manifests, configurations and cards: bounded in every way.

In: a path or a text. Out: plain values. Only plain files are opened (a pipe would wait for ever),
no more than so many bytes are read, nesting is bounded, and so is what YAML's anchors expand to.
Files of arrays have limits of their own in `formats` and `simulation_file`.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from data_shards.errors import UserError

_BRACKET = re.compile(r"[][{}]")

MOST_BYTES = 64 << 20  # of JSON: a manifest of 100,000 shards
MOST_YAML_BYTES = 4 << 20  # some thousand times what people write by hand
MOST_NODES = 1 << 20  # of YAML, anchors written out
MOST_BRACKETS = 200  # of YAML, open at once


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """A text file.

    Args:
        path: of a plain file.
        most: bytes.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is no plain file, larger, or no text in UTF-8.
    """
    # Without waiting: what is no plain file is found only once it is open.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path}: is no plain file")
    with os.fdopen(handle, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"{path}: has more than {most} bytes; this is not the file it should be")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not readable as text: {error}") from None


def check_plain(path: Path) -> None:
    """Refuse pipes and devices, which would be waited for, and folders.

    Args:
        path: of something that is there.

    Raises:
        UserError: it is no plain file.
    """
    if not path.is_file():
        raise UserError(f"{path}: is no plain file")


def parse_json(text: str | bytes, where: str, remedy: str = "restore it") -> Any:
    """Plain values of a JSON text.

    Args:
        text: of bounded length.
        where: what is being read, for the message.
        remedy: what to do if it cannot be, for the message.

    Raises:
        UserError: it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{where}: not readable as JSON: nested too deeply; {remedy}") from None
    except ValueError as error:
        raise UserError(f"{where}: not readable as JSON: {error}; {remedy}") from None


def parse_yaml(text: str, where: str) -> Any:
    """Plain values of a YAML text of one document.

    Raises:
        UserError: it is none, nested too deeply, or its anchors expand to too much.
    """
    if _bracket_depth(text) > MOST_BRACKETS:  # its scanner takes the square of their number
        raise UserError(f"{where}: not readable as YAML: nested too deeply")
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _nodes(node, {}) > MOST_NODES:
                raise UserError(f"{where}: its anchors expand to more than {MOST_NODES} values")
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise UserError(f"{where}: not readable as YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        problem = " ".join(str(error).split())
        raise UserError(f"{where}: not readable as YAML: {problem}") from None


def _bracket_depth(text: str) -> int:
    """Most brackets that are open at once, those in texts among them."""
    deepest = depth = 0
    for sign in _BRACKET.findall(text):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, those below an anchor at each of its uses.

    Raises:
        RecursionError: it holds itself.
    """
    if id(node) not in known:
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_nodes(part, known) for part in inner)
    return known[id(node)]
