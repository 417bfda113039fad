"""A user's own file on the command line: the options that say how it is read, and its checks."""

import argparse
from pathlib import Path
from typing import get_args

from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.simulation_file.simulation import Boundary
from evaluation.simulation.channels import order_hints
from evaluation.simulation.on_model_grid import check_fits
from foundation import Surrogate
from launchers.console.arguments import not_negative
from launchers.console.device import add_placing_options, open_placed
from launchers.console.progress import say


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, the file, and corrections of what is assumed about the file."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint folder or hub name")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help=".h5, .hdf5, .nc, .npz, .npy or .mat"
    )
    parser.add_argument(
        "--axes",
        metavar="t,y,x,c",
        help="what the axes are: t time, y rows, x columns, c channels, s samples",
    )
    parser.add_argument(
        "--channels",
        metavar="NAME,NAME",
        help="arrays that are channels, in the model's order; or names of one array's channels",
    )
    parser.add_argument(
        "--mask", metavar="NAME|FILE", help="an array or a file, 1 in the fluid, 0 in solid cells"
    )
    parser.add_argument(
        "--sample", type=not_negative, metavar="I", help="which run of several, from 0"
    )
    parser.add_argument(
        "--boundary",
        choices=get_args(Boundary),
        help="across which sides the fields go on; by default as the file says, else edge",
    )
    add_placing_options(parser)


def open_both(options: argparse.Namespace) -> tuple[Surrogate, Simulation]:
    """The model and the simulation; what was assumed is said on stderr.

    Raises:
        UserError: one of them cannot be read, or they do not fit.
    """
    model = open_placed(options)
    channels = options.channels or ""
    reading = Reading(
        axes=options.axes,
        channels=tuple(n.strip() for n in channels.split(",") if n.strip()) or None,
        mask=options.mask,
        sample=options.sample,
        boundary=options.boundary,
        frames=model.config.context_frames,
    )
    simulation = read_simulation(options.file, reading)
    for line in (*simulation.assumed, *order_hints(model, simulation)):
        say(f"assumed: {line}")
    check_fits(model, simulation)
    return model, simulation
