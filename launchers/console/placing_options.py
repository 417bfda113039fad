"""Options of where a model forecasts, and how it computes there."""

import argparse


def add_placing_options(parser: argparse.ArgumentParser) -> None:
    """The device of a model that forecasts, and how it computes there."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        "--bf16", action="store_true", help="compute in bfloat16; by default in float32"
    )
    precision.add_argument(
        "--tf32",
        action="store_true",
        help="float32, but products of numbers rounded to 10 bits of mantissa; faster on a GPU",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first: some minutes that many forecasts repay, on a GPU",
    )
