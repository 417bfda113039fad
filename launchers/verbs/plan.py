"""`foundation plan`: what a preset costs, before it is launched."""

import argparse

from foundation.train.presets import preset_names
from launchers.console.arguments import positive, positives
from launchers.console.cluster_options import add_cluster_options
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation plan medium --world 8 --ep-size 8 --zero 1 --bf16 global_batch=64
  foundation plan tiny model.width=256 global_batch=32 --json
  foundation plan dpot_medium --world 8 --zero 2 --bf16 global_batch=64
  foundation plan small --world 4 --ep-size 4 --recompute accumulation=2 global_batch=64

Memory is that of tensors, which is what is counted on a GPU; a process on CPUs takes more. What
ranks send is counted without scalars; how far samples travel depends on the router, and is told
for routes without preference.

on a cluster that need not be at hand, one layout or a table of many:
  foundation plan medium --world 256 --ep-size 8 --bf16 --cluster h100 global_batch=4096
  foundation plan small --world 64,128,256,512,1024 --bf16 --cluster h100 --micro 16
  foundation plan tiny --world 64 --ep-size 1,8 --cluster a100 --micro 32 cluster.gpus_per_node=4

Seconds on a cluster are simulated from counts and from the cluster's figures: messages cost alpha +
beta x bytes. Efficiency compares with one GPU that takes the same global batch, in micro-batches as
large as its memory holds. A file of your own (--cluster FILE.yaml) has the keys of
foundation/presets/clusters/*.yaml; `python launchers/bench.py links` measures one.
"""


def add_verb(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `plan` to the console's parser."""
    parser = subparsers.add_parser(
        "plan",
        help=SUMMARIES["plan"],
        description="Parameters, FLOPs, memory and traffic per rank, before a launch.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("preset", help=f"one of {', '.join(preset_names())}")
    parser.add_argument("--world", type=positives, default=(1,), metavar="N", help=_WORLD_HELP)
    parser.add_argument("--ep-size", type=positives, metavar="N", help=_EP_HELP)
    parser.add_argument("--zero", type=int, default=1, choices=(0, 1, 2), help="ZeRO stage")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 weights (default float32)")
    parser.add_argument(
        "--recompute", action="store_true", help="recompute blocks in the backward pass"
    )
    parser.add_argument("--micro", type=positive, metavar="B", help=_MICRO_HELP)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    add_cluster_options(parser)
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.set_defaults(run=_run)


_WORLD_HELP = "ranks (default 1); with --cluster several, as 64,128,256"
_EP_HELP = "expert-parallel size (default 1; in a table all that fit, or those given, as 1,4,8)"
_MICRO_HELP = "samples per rank and forward; the global batch then grows with the ranks"


def _run(options: argparse.Namespace) -> None:
    from launchers.work.plan import run

    run(options)
