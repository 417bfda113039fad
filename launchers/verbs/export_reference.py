"""`foundation export-reference`: a checkpoint of ours in, the published layout out."""

import argparse
from pathlib import Path

from launchers.console.arguments import CHECKPOINT_HELP, Subparsers, add_parser
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation export-reference runs/nano_dpot/model nano_dpot.pth
  foundation export-reference checkpoints/moepot_small moepot_small.pth

OUT.pth is {'model': state dict, 'args': Namespace, 'optimizer': {}} under the published names,
for the authors' own code. What that layout cannot hold is refused by name, as target=increment
or router.gate_norm=layer: train with router.gate_norm=batch to share with that code.
OUT.pth must not exist.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `export-reference` to the console."""
    parser = add_parser(subparsers, "export-reference", SUMMARIES["export-reference"], _EXAMPLE)
    parser.add_argument("checkpoint", metavar="CKPT", help=CHECKPOINT_HELP)
    parser.add_argument("out", type=Path, metavar="OUT.pth", help="file to make")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from foundation.published.published import export_published

    config = export_published(options.checkpoint, options.out)
    print(f"{config.model_type} under the published names: {options.out}")
