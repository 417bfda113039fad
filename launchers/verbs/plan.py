"""`foundation plan`: what a preset costs, before it is launched."""

import argparse
import json
from dataclasses import asdict

from foundation.models.cost import Cost, cost_of
from foundation.train.config import load_run_config, preset_names
from launchers.arguments import positive
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation plan medium --world 8 --ep 8 --zero 1 --bf16 global_batch=64
  foundation plan tiny model.width=256 global_batch=32 --json
  foundation plan dpot_medium --world 8 --zero 2 --bf16 global_batch=64
"""


def add_verb(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `plan` to the console's parser."""
    parser = subparsers.add_parser(
        "plan",
        help=SUMMARIES["plan"],
        description="Parameters, FLOPs and memory per rank of a preset, before a launch.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("preset", help=f"one of {', '.join(preset_names())}")
    parser.add_argument("--world", type=positive, default=1, help="ranks (default 1)")
    parser.add_argument("--ep", type=positive, default=1, help="expert-parallel size (default 1)")
    parser.add_argument("--zero", type=int, default=1, choices=(0, 1, 2), help="ZeRO stage")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 weights (default float32)")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    run = load_run_config(options.preset, options.overrides)
    run.check_ranks(options.world, options.ep)
    micro_batch = run.step_on(options.world).micro_batch
    cost = cost_of(run.model, options.world, options.ep, options.zero, options.bf16, micro_batch)
    if options.json:
        print(json.dumps(asdict(cost) | {"rank_bytes": cost.rank_bytes}, indent=2))
    else:
        _print(options, micro_batch, cost)


def _print(options: argparse.Namespace, micro_batch: int, cost: Cost) -> None:
    precision = "bf16" if options.bf16 else "fp32"
    print(
        f"{options.preset}: {options.world} ranks, ep_size {options.ep}, ZeRO {options.zero}, "
        f"{precision}, micro-batch {micro_batch}"
    )
    rows = [("parameters", _millions(cost.parameters.total))]
    if cost.expert_parameters:
        rows += [
            ("  activated per sample", _millions(cost.parameters.activated)),
            ("  in routed experts", _millions(cost.expert_parameters)),
        ]
    rows += [
        ("FLOPs per sample", f"{cost.flops_forward / 1e9:.2f} G forward"),
        ("", f"{cost.flops_step / 1e9:.2f} G with backward"),
        ("memory per rank", f"{cost.rank_bytes / 2**30:.2f} GiB"),
        ("  weights", f"{cost.weight_bytes / 2**30:.2f} GiB"),
        ("  gradients", f"{cost.gradient_bytes / 2**30:.2f} GiB"),
        ("  optimiser", f"{cost.optimiser_bytes / 2**30:.2f} GiB"),
        ("  activations (estimate)", f"{cost.activation_bytes / 2**30:.2f} GiB"),
    ]
    for name, value in rows:
        print(f"  {name:<26}{value}")


def _millions(count: int) -> str:
    return f"{count / 1e6:.{1 if count >= 1e7 else 3}f} M"
