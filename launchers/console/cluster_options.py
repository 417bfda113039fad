"""Options of a cluster that need not be at hand, and of how a run lies on it."""

import argparse

from foundation.plan.cluster import cluster_names
from launchers.console.arguments import exponent


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Add what is said of a cluster and of how a run lies on it."""
    group = parser.add_argument_group("on a cluster")
    group.add_argument(
        "--cluster", metavar="NAME", help=f"{', '.join(cluster_names())}, or a FILE.yaml"
    )
    group.add_argument(
        "--across", action="store_true", help="experts across nodes (default: inside them)"
    )
    group.add_argument(
        "--hierarchical",
        action="store_true",
        help="samples travel once to a node and on from there; simulated only: training's "
        "exchange is flat",
    )
    group.add_argument(
        "--overlap",
        choices=("none", "exchange", "gradients", "both"),
        default="none",
        help="exchange beside the shared experts, gradients beside the backward pass",
    )
    group.add_argument(
        "--skew",
        type=exponent,
        default=0.0,
        metavar="S",
        help="preference of routes: the n-th expert is drawn as n ** -S (default 0: none)",
    )
