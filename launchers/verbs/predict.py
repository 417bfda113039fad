"""`foundation predict`: a checkpoint and a simulation in, its future in the same format out."""

import argparse
import json
from pathlib import Path

import numpy as np

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.simulation_file import write_simulation
from data_shards.simulation_file.write import check_suffix
from evaluation.records.results import check_writable
from evaluation.simulation.on_model_grid import forecast
from evaluation.simulation.pictures import animate, draw_sheet
from evaluation.simulation.report import judge
from launchers.console.arguments import Subparsers, add_parser, positive
from launchers.console.progress import say
from launchers.console.simulation_options import add_file_options, open_both
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation predict runs/tiny/model flow.h5 --steps 10 --output forecast.h5
  foundation predict runs/tiny/model runs.npy --axes s,t,y,x --sample 3 --steps 20 \\
      --output second.npy --boundary periodic
  foundation predict runs/tiny/model wake.mat --channels u,v,p --mask fluid --steps 10 \\
      --output wake_forecast.mat

What is assumed about the file is said on stderr. Beside forecast.h5 come forecast.png and
forecast.gif, to look at, and forecast.report.txt and .json: whether to trust it.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `predict` to the console."""
    parser = add_parser(subparsers, "predict", SUMMARIES["predict"], _EXAMPLES)
    add_file_options(parser)
    parser.add_argument(
        "--steps", type=positive, required=True, metavar="N", help="frames to predict"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="OUT", help="file of the input's format"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    output: Path = options.output
    beside = {
        kind: output.with_suffix(kind) for kind in (".png", ".gif", ".report.txt", ".report.json")
    }
    for path in (output, *beside.values()):
        check_writable(path, options.overwrite)
    model, simulation = open_both(options)
    check_suffix(output, simulation)
    future = forecast(model, simulation, options.steps)
    report = judge(model, simulation, options.checkpoint)
    write_simulation(future, output, overwrite=options.overwrite)
    contents = {
        ".report.txt": f"{report.text}\n".encode(),
        ".report.json": f"{json.dumps(report.plain(), indent=1)}\n".encode(),
        ".png": draw_sheet(simulation, future),
        ".gif": animate(simulation, future, model.config.context_frames),
    }
    for kind, content in contents.items():
        try:
            replace_file(beside[kind], content)
        except OSError as error:
            raise UserError(f"{beside[kind]}: could not be written ({error})") from None
    bad = ~np.isfinite(future.fields).all((1, 2, 3))
    if bad.any():
        say(f"warning: the forecast is not finite from its frame {int(bad.argmax())} on")
    print(report.text)
    print(f"\nforecast: {output}")
    for path in beside.values():
        print(f"beside it: {path}")
