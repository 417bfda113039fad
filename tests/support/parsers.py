"""Parsers of a command line: its root in, all below it out."""

import argparse
from collections.abc import Iterator


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def walk(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """All parsers below one, with the verbs that lead there."""
    yield path, parser
    for name, inner in subparsers(parser).items():
        yield from walk(inner, (*path, name))
