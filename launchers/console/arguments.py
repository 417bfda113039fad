"""What all command lines share: one spelling of options, types of values, parsers with examples.

Options are declared and shown with hyphens; underscores are taken alike, in abbreviations too,
since DeepSpeed's launcher writes `--local_rank` and its users do as it does. A type takes the text
of one argument and gives a checked value; argparse turns its errors into one line and exit code 2.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from data_shards.errors import without_secrets

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

# What a checkpoint may be given as, wherever one is read.
CHECKPOINT_HELP = "folder, name of the package (foundation models), or hub id"
_WEEK_MIN = 7 * 24 * 60
DEFAULT_DEEPSPEED_CONFIG = Path(__file__).resolve().parents[2] / "ds_configs" / "zero1_fp32.json"

_OPTION = re.compile(r"\A--[A-Za-z][\w-]*(?==|\Z)")


class Parser(argparse.ArgumentParser):
    """Takes `--some_option` for `--some-option`; so do the parsers of its verbs."""

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        """As argparse's."""
        return super().parse_known_args(_hyphenated(args), namespace)

    def parse_known_intermixed_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse's, which calls the other in some versions of Python only."""
        return super().parse_known_intermixed_args(_hyphenated(args), namespace)

    def error(self, message: str) -> NoReturn:
        """As argparse's, without what is secret in the URLs that a user gave."""
        super().error(without_secrets(message))


def _hyphenated(words: Iterable[str] | None) -> list[str]:
    """Names of options by hyphens; values stay as they are, and so does all behind `--`."""
    words = list(sys.argv[1:] if words is None else words)
    end = words.index("--") if "--" in words else len(words)
    named = (_OPTION.sub(lambda name: name[0].replace("_", "-"), word) for word in words[:end])
    return [*named, *words[end:]]


def add_parser(
    subparsers: Subparsers, name: str, summary: str, epilog: str
) -> argparse.ArgumentParser:
    """A verb's parser, its examples printed as they are written.

    Args:
        subparsers: of the parser that it belongs to.
        name: of the verb.
        summary: one line without a capital and without a full stop.
        epilog: examples, at the end of its help.
    """
    return subparsers.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_shards_option(parser: argparse.ArgumentParser, what: str, required: bool = True) -> None:
    """`--shards`, by a name that `data_shards.remote.find` finds.

    Args:
        parser: of the verb.
        what: the verb wants with them.
        required: whether it does without.
    """
    parser.add_argument(
        "--shards",
        required=required,
        metavar="DIR|URL|LIST",
        help=f"{what}: folder with manifest.json; hf://datasets/OWNER/NAME[@REVISION]; "
        "https://HOST/FOLDER/; or a text file with the URLs of manifest.json and its tars, one "
        "per line",
    )


def add_noise_options(parser: argparse.ArgumentParser) -> None:
    """`--noise` and `--seed`, in which members of an ensemble differ."""
    parser.add_argument(
        "--noise",
        type=exponent,
        default=1.0,
        metavar="SIZE",
        help="of members' given frames, in units of their change from frame to frame; default 1",
    )
    parser.add_argument(
        "--seed", type=not_negative, default=0, metavar="S", help="of that noise; default 0"
    )


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _at_least(1, text)


def positives(text: str) -> tuple[int, ...]:
    """Whole numbers of at least 1, separated by commas, each once, as they come."""
    return tuple(dict.fromkeys(positive(part) for part in text.split(",")))


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    return _at_least(0, text)


def exponent(text: str) -> float:
    """A finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def positive_number(text: str) -> float:
    """A finite number above 0."""
    value = exponent(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def minutes(text: str) -> float:
    """A number of minutes above 0, a week at most."""
    value = positive_number(text)
    if value > _WEEK_MIN:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted at most {_WEEK_MIN} minutes, a week")
    return value


def key_value(text: str) -> tuple[str, Any]:
    """A pair "key=value", the value read as YAML: numbers, lists and words."""
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not readable as YAML") from None


def _at_least(least: int, text: str) -> int:
    wanted = "a positive whole number" if least else "a whole number of at least 0"
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
    if value < least:
        raise argparse.ArgumentTypeError(f"{value} is not {wanted}")
    return value
