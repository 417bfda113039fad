"""`foundation import-reference`: a checkpoint of MoE-POT's or DPOT's authors in, ours out."""

import argparse
import json
from pathlib import Path

from foundation.published.sources import PUBLISHED_MODES, PUBLISHED_TOP_K
from launchers.console.arguments import Subparsers, add_parser, positive
from launchers.console.progress import say
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation import-reference model_Ti.pth checkpoints/dpot_tiny
  foundation import-reference moepot_small.pth checkpoints/moepot_small --json
  foundation evaluate checkpoints/dpot_tiny --shards shards/ --tasks zero_shot --output ti.json

FILE.pth is what the authors' training writes: {'model': ..., 'args': ..., 'optimizer': ...}, of
MoE-POT (tiny, small, medium) or DPOT (Ti, S, M, L, H). Nothing in it is run: a file that asks
for anything but tensors and arguments is refused. Sizes are read off the tensors, and args must
agree with them; what neither says is the published value, and said so. OUT must not exist.
What is made is judged as its authors judge (`protocol: reference`), unless `foundation evaluate`
is told --protocol own.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `import-reference` to the console."""
    parser = add_parser(subparsers, "import-reference", SUMMARIES["import-reference"], _EXAMPLE)
    parser.add_argument("file", type=Path, metavar="FILE.pth", help="published checkpoint to read")
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint folder to make")
    parser.add_argument(
        "--modes",
        type=positive,
        metavar="N",
        help=f"Fourier modes kept (default as args say, else {PUBLISHED_MODES})",
    )
    parser.add_argument(
        "--top-k",
        type=positive,
        metavar="K",
        help=f"routed experts per sample (default as args say, else {PUBLISHED_TOP_K})",
    )
    parser.add_argument("--json", action="store_true", help="print configuration and origin")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from foundation.published.published import import_published
    from foundation.published.published_config import Told

    told = Told(modes=options.modes, top_k=options.top_k)
    made = import_published(options.file, options.out, told)
    for remark in made.remarks:
        say(f"note: {remark}")
    config = made.config
    if options.json:
        values = {"model": config.model_dump(mode="json"), "about": made.about}
        print(json.dumps(values, indent=2))
        return
    print(
        f"{config.model_type}: width {config.width}, {config.blocks} blocks, {config.heads} heads, "
        f"MLP ratio {config.mlp_ratio}, {config.resolution} x {config.resolution}, "
        f"{config.context_frames} frames of {config.channels} channels in, "
        f"{config.out_frames} out\ncheckpoint: {options.out}"
    )
