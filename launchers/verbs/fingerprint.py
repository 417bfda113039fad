"""`foundation fingerprint`: a checkpoint and a simulation in, whether to trust a forecast out."""

import argparse
import json

from evaluation.simulation.report import judge
from launchers.console.arguments import Subparsers, add_parser
from launchers.console.simulation_options import add_file_options, open_both
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation fingerprint runs/tiny/model flow.h5
  foundation fingerprint runs/tiny/model runs.npy --axes s,t,y,x --sample 3 --json

Tells which corpus of the training the simulation looks like to the model's routers, and how
well the model predicts the frames that are known, against repeating the last one. Fingerprints
of corpora are made by `foundation routing CHECKPOINT --save-fingerprints`.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `fingerprint` to the console."""
    parser = add_parser(subparsers, "fingerprint", SUMMARIES["fingerprint"], _EXAMPLES)
    add_file_options(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    model, simulation = open_both(options)
    report = judge(model, simulation, options.checkpoint)
    print(json.dumps(report.plain(), indent=1) if options.json else report.text)
