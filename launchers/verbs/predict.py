"""`foundation predict`: a checkpoint and a file in, what the model says of it out.

A simulation is continued; a steady problem (of a model that knows its channels by name) is
answered, with its residual.
"""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_noise_options, add_parser, positive
from launchers.console.simulation_options import (
    add_file_options,
)
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation predict moe-fno-nano flow.h5 --steps 10          # into flow_forecast.h5
  foundation predict runs/tiny/model flow.h5 --steps 10 --output forecast.h5
  foundation predict runs/tiny/model runs.npy --axes s,t,y,x --sample 3 --steps 20 \\
      --output second.npy --boundary periodic
  foundation predict runs/tiny/model wake.mat --channels u,v,p --mask fluid --steps 10 \\
      --output wake_forecast.mat
  foundation predict runs/tiny/model sea.nc --scale T=5+288 --steps 10 --output later.nc
  foundation predict runs/poisson/model plate.npz --output answer.npz \\
      --channels source=heat --parameters k11=0.02,k22=0.05       # a steady problem
  foundation predict runs/burgers/model start.npz --steps 31 --output later.npz \\
      --parameters viscosity=0.01,advection=1 --time-step 0.03    # under an equation

  foundation predict runs/tiny/model flow.h5 --steps 10 --members 8 --output banded.h5
  foundation predict runs/tiny/model flow.h5 --steps 10 --members 8 --bands records/members.json \\
      --like fno_ns_1e-5 --output banded.h5

What is assumed about the file is said on stderr. Beside forecast.h5 come forecast.png and
forecast.gif, to look at, and forecast.report.txt and .json: for how many frames to trust it, by
forecasts of the frames that are known; their errors stand in forecast.h5 as well. With --members
the forecast is the mean of several, under noise or of several checkpoints (--also), and
NAME_low and NAME_high beside it are bands that held 90 % of the known frames. A steady
problem is a file with the source and its coefficients under the names of the model's slots;
its report tells the residual, hence the error, of the answer. A model under an equation asks for
its coefficients, the time between frames and the places of the cells: from the file (numbers under
their names, coordinates t and x), or from these options.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `predict` to the console."""
    parser = add_parser(subparsers, "predict", SUMMARIES["predict"], _EXAMPLES)
    add_file_options(parser)
    parser.add_argument(
        "--steps", type=positive, metavar="N", help="frames to predict; none of a steady problem"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="OUT",
        help="file of the input's format (default: here, FILE's name with _forecast or _answer)",
    )
    parser.add_argument(
        "--members", type=positive, metavar="N", help="forecast by N members, with bands of 90 %%"
    )
    parser.add_argument(
        "--also",
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="further checkpoints that members are of by turns",
    )
    add_noise_options(parser)
    parser.add_argument(
        "--bands",
        type=Path,
        metavar="FILE.json",
        help="results of foundation evaluate on a task of bands, of this checkpoint and these "
        "members, that say how wide bands are; by default the known frames do",
    )
    parser.add_argument(
        "--like", metavar="CORPUS", help="whose bands to take, where FILE.json has those of several"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from launchers.work.predict import run

    run(options)
