"""Options of everything that fine-tunes: the recipe, and what may be said over it."""

import argparse

from foundation.train.presets import recipe_names
from launchers.console.arguments import positive


def add_recipe_options(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add `--recipe`, `--steps` and `--router`.

    Args:
        parser: to add to.
        default: name of the recipe that is taken if none is given.
    """
    parser.add_argument(
        "--recipe",
        default=default,
        metavar="NAME|FILE.yaml",
        help=f"{', '.join(recipe_names())}, or a file of your own (default {default})",
    )
    parser.add_argument("--steps", type=positive, help="in the place of the recipe's epochs")
    parser.add_argument(
        "--router",
        choices=("frozen", "free"),
        help="whether the checkpoint's routers learn; frozen by default where there is one",
    )
