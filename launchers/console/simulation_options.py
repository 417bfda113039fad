"""Options of a user's own file: the checkpoint, the file, and how it is read."""

import argparse
from pathlib import Path
from typing import get_args

from data_shards.simulation_file.simulation import Boundary
from launchers.console.arguments import CHECKPOINT_HELP, not_negative, positive_number
from launchers.console.placing_options import add_placing_options


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, the file, and corrections of what is assumed about the file."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help=CHECKPOINT_HELP,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help=".h5, .hdf5, .nc, .npz, .npy or .mat"
    )
    parser.add_argument(
        "--axes",
        metavar="t,y,x,c",
        help="what the axes are: t time, y rows (none of a line), x columns, c channels, s samples",
    )
    parser.add_argument(
        "--channels",
        metavar="NAME,NAME",
        help="arrays that are channels, in the model's order; or names of one array's channels; "
        "of a model that knows names, as source=NAME",
    )
    parser.add_argument(
        "--mask",
        metavar="NAME|FILE",
        help="an array or a file, 1 in the fluid, 0 in solid cells; 1-NAME for its opposite",
    )
    parser.add_argument(
        "--sample", type=not_negative, metavar="I", help="which run of several, from 0"
    )
    parser.add_argument(
        "--boundary",
        choices=get_args(Boundary),
        help="across which sides the fields go on; by default as the file says, else edge",
    )
    parser.add_argument(
        "--parameters",
        metavar="NAME=X,..",
        help="coefficients of a steady problem or of a model's equation, over the file's",
    )
    parser.add_argument(
        "--time-step",
        type=positive_number,
        metavar="DT",
        help="between frames, for a model under an equation; over the file's times",
    )
    parser.add_argument(
        "--scale",
        metavar="auto|F|NAME=F+O,..",
        help="show the model (value - O) / F, and undo it in the forecast: auto finds what makes "
        "values as large and as far from zero as in the training and meets known frames best",
    )
    add_placing_options(parser)
