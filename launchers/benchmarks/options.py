"""Measure what this machine does, as ratios of one run: a command line in, figures out."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from foundation.train.presets import preset_names
from launchers.console.arguments import Parser, positive, positives
from launchers.console.exit_codes import guarded

EXAMPLES = """examples:
  python launchers/bench.py                                   # the ratios, some minutes
  python launchers/bench.py --quick                           # one round, under a minute
  python launchers/bench.py --shards quickstart/shards --output ratios.json   # and real runs
  python launchers/bench.py --only mixture --only ranks --rounds 9
  python launchers/bench.py --only network --authors ~/MoEPOT    # their own code beside ours
  python launchers/bench.py stream --shards quickstart/shards --output stream.json
  python launchers/bench.py links --output links.json --cluster mine.yaml
  python launchers/bench.py boxes --preset tokenizer --output tokenizer_128.json
  foundation bench --quick                                    # the same as a verb
"""
_RATIOS = """Measures what this machine does; what is judged are ratios taken in one run.

Rounds alternate between the subject and its yardstick, because machines are shared and
noisy; a record holds every round and the medians.
"""
_BOXES = """One field of flow through a tokenizer and back: divergence, seconds, memory.

The field is a curl of smooth random waves in a geometry, rms speed 1; the weights are fresh, since
what holds by construction holds of any. Beside the preset's decoder stands its twin that decodes
velocity freely. The call is the first one, which also solves for what the geometry lets through.
Seconds are of this machine as busy as it was, those of its processors less so: no ratio.
"""
_BOXES_EXAMPLE = """examples:
  python launchers/bench.py boxes --preset tokenizer --output tokenizer_128.json
  python launchers/bench.py boxes --preset tokenizer_small --geometry channel --output small.json
"""
_LINKS_EXAMPLE = """examples:
  python launchers/bench.py links --output links.json --cluster mine.yaml
  foundation plan nano --world 2 --ep-size 2 --cluster mine.yaml

On several nodes, where the network between them is to be measured too:
  torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
      launchers/bench.py links --preset medium --output links.json --cluster mine.yaml
"""

USUAL = ("mixture", "network", "inference", "sizes", "kept", "ranks", "runs")
PARTS = (*USUAL, "compiled", "constraint")
_ONLY = (
    f"of {', '.join(USUAL)}; or compiled or constraint, left out unless they are named; kept: "
    "what keeping freed memory saves"
)
QUICK = ("mixture", "network", "inference")
BATCHES = (1, 2, 4)
GEOMETRIES = ("channel", "spheres")


def build_parser() -> argparse.ArgumentParser:
    """The parser of ratios, and of subjects that are measured by themselves."""
    parser = Parser(
        prog="bench.py",
        description=_RATIOS,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the ratios, and the other subjects."""
    parser.add_argument("--quick", action="store_true", help=f"one round of {', '.join(QUICK)}")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=_ONLY)
    parser.add_argument("--rounds", type=positive, default=5, help="default: 5")
    parser.add_argument(
        "--shards", type=Path, metavar="DIR", help="to train on; without them runs are left out"
    )
    parser.add_argument(
        "--authors", type=Path, metavar="CLONE", help="the authors' code, to be run and timed too"
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="record to write")
    parser.set_defaults(run=_bench_ratios)
    subjects = parser.add_subparsers(metavar="SUBJECT", title="measured by themselves")
    _add_stream(subjects)
    _add_links(subjects)
    _add_boxes(subjects)


def _bench_ratios(options: argparse.Namespace) -> None:
    from launchers.benchmarks.ratios import bench_ratios

    bench_ratios(options)


def _add_stream(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `stream` to the bench's parser."""
    parser = subjects.add_parser(
        "stream", help="samples/s per core of the stream against whole trajectories from HDF5"
    )
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="train", help="default: train")
    parser.add_argument("--corpus", action="append", metavar="NAME", help="default: all there")
    parser.add_argument(
        "--resolution", type=positive, default=128, metavar="R", help="default: 128"
    )
    parser.add_argument("--samples", type=positive, default=64, help="per round (default: 64)")
    parser.add_argument("--rounds", type=positive, default=5, help="default: 5")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    parser.set_defaults(run=_bench_stream)


def _bench_stream(options: argparse.Namespace) -> None:
    from launchers.benchmarks.stream import bench_stream

    bench_stream(options)


def _add_links(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `links` to the bench's parser."""
    parser = subjects.add_parser(
        "links",
        help="alpha and beta of the links between ranks, FLOP/s of a step: a file for plans",
        description="Measure this machine's links and steps, for `foundation plan --cluster`.",
        epilog=_LINKS_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--ranks", type=positive, default=2, help="started here, unless a launcher did (default 2)"
    )
    parser.add_argument(
        "--preset", default="nano", choices=preset_names(), help="of the steps (default nano)"
    )
    parser.add_argument("--batches", type=positives, default=BATCHES, help="default 1,2,4")
    parser.add_argument(
        "--rounds",
        type=positive,
        default=5,
        help="of steps (default 5); collectives run five times as often",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--cluster", type=Path, metavar="FILE.yaml", help="for plans")
    parser.set_defaults(run=_bench_links)


def _bench_links(options: argparse.Namespace) -> None:
    from launchers.benchmarks.links import bench_links

    bench_links(options)


def _add_boxes(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `boxes` to the bench's parser."""
    parser = subjects.add_parser(
        "boxes",
        help="one field of flow through a tokenizer and back: divergence, seconds, memory",
        description=_BOXES,
        epilog=_BOXES_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", default="tokenizer", help="of a tokenizer (default tokenizer)")
    parser.add_argument(
        "--geometry",
        action="append",
        choices=GEOMETRIES,
        help="walls below and above, or eight solid spheres (default: both)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.set_defaults(run=_bench_boxes)


def _bench_boxes(options: argparse.Namespace) -> None:
    from launchers.benchmarks.boxes import bench_boxes

    bench_boxes(options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""

    def run() -> int | None:
        options = build_parser().parse_args(arguments)
        code: int | None = options.run(options)
        return code

    return guarded(run)
