"""`foundation fingerprint`: a checkpoint and a simulation in, whether to trust a forecast out."""

import argparse
import json

from launchers.console.arguments import Subparsers, add_parser, positive
from launchers.console.simulation_options import add_file_options
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation fingerprint runs/tiny/model flow.h5
  foundation fingerprint runs/tiny/model runs.npy --axes s,t,y,x --sample 3 --json

Tells for how many frames a forecast can be used, by forecasts of the frames that are known,
against repeating the last one; and to which corpus of the training the model's routers send
the simulation. Fingerprints of corpora are made by `foundation routing CHECKPOINT
--save-fingerprints`.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `fingerprint` to the console."""
    parser = add_parser(subparsers, "fingerprint", SUMMARIES["fingerprint"], _EXAMPLES)
    add_file_options(parser)
    parser.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="frames of the forecast that is judged (default: as many as are known)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from evaluation.simulation.report import judge
    from evaluation.simulation.scaling import scaling_for
    from foundation.nn.device import float32_products
    from launchers.console.device import arithmetic
    from launchers.console.simulation import open_both

    model, simulation = open_both(options)
    with float32_products(rounded=options.tf32):
        scaling = None
        if options.scale is not None:
            scaling = scaling_for(options.scale, model, simulation, options.steps)
            simulation = scaling.applied(simulation)
        report = judge(model, simulation, options.checkpoint, options.steps, scaling=scaling)
    told = {**report.plain(), "computed_in": arithmetic(options, model)}
    print(json.dumps(told, indent=1) if options.json else report.text)
