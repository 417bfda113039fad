"""`foundation plan`: what a preset costs, before it is launched."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from data_shards.errors import UserError
from foundation.models.cost import Cost, cost_of
from foundation.train.config import load_run_config, preset_names
from launchers.arguments import positive
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation plan medium --world 8 --ep 8 --zero 1 --bf16 global_batch=64
  foundation plan tiny model.width=256 global_batch=32 --json
  foundation plan dpot_medium --world 8 --zero 2 --bf16 global_batch=64
  foundation plan small --world 4 --ep 4 --recompute accumulation=2 global_batch=64

Memory is that of tensors, which is what is counted on a GPU; a process on CPUs takes more. What
ranks send is counted without scalars; how far samples travel depends on the router, and is told
for routes without preference.
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
    parser.add_argument("--world", type=positive, default=1, help="ranks (default 1)")
    parser.add_argument("--ep", type=positive, default=1, help="expert-parallel size (default 1)")
    parser.add_argument("--zero", type=int, default=1, choices=(0, 1, 2), help="ZeRO stage")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 weights (default float32)")
    parser.add_argument(
        "--recompute", action="store_true", help="recompute blocks in the backward pass"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    overrides = [*options.overrides, *(["recompute=true"] if options.recompute else [])]
    run = load_run_config(options.preset, overrides)
    run.check_ranks(options.world, options.ep)
    _check_combination(options, run.clip)
    micro_batch = run.step_on(options.world).micro_batch
    cost = cost_of(
        run.model,
        options.world,
        options.ep,
        options.zero,
        options.bf16,
        micro_batch,
        run.accumulation,
        run.recompute,
    )
    if options.json:
        print(json.dumps(_plain(cost), indent=2))
    else:
        _print(options, micro_batch, cost)


def _check_combination(options: argparse.Namespace, clip: float) -> None:
    """As the engine would; it is not asked itself, for DeepSpeed takes seconds to load."""
    if options.zero == 0 and (options.bf16 or clip > 0):
        raise UserError(
            "ZeRO 0 trains wrongly in bf16 and with clipping, and is refused at a launch; take "
            "--zero 1, or float32 with clip=0"
        )


def _plain(cost: Cost) -> dict[str, Any]:
    total = {"total": cost.traffic.total}
    return asdict(cost) | {
        "traffic": asdict(cost.traffic) | total,
        "process_bytes": cost.process_bytes,
    }


def _print(options: argparse.Namespace, micro_batch: int, cost: Cost) -> None:
    precision = "bf16" if options.bf16 else "fp32"
    print(
        f"{options.preset}: {options.world} ranks, ep_size {options.ep}, ZeRO {options.zero}, "
        f"{precision}, micro-batch {micro_batch}"
    )
    for name, value in (*_sizes(cost), *_work(cost), *_memory(cost), *_sent(cost)):
        print(f"  {name:<28}{value}")


def _sizes(cost: Cost) -> list[tuple[str, str]]:
    rows = [("parameters", _millions(cost.parameters.total))]
    if cost.expert_parameters:
        rows += [
            ("  activated per sample", _millions(cost.parameters.activated)),
            ("  in routed experts", _millions(cost.expert_parameters)),
        ]
    return [*rows, ("  on each rank", _millions(cost.rank_parameters))]


def _work(cost: Cost) -> list[tuple[str, str]]:
    rows = [
        ("FLOPs per sample", f"{_giga(cost.flops_forward)} forward"),
        ("", f"{_giga(cost.flops_step)} with backward"),
    ]
    if cost.expert_parameters:
        rows.append(("  were all experts computed", f"{_giga(cost.flops_dense)} forward"))
    return rows


def _memory(cost: Cost) -> list[tuple[str, str]]:
    return [
        ("memory per rank, at most", _size(cost.peak_bytes)),
        ("  weights", _size(cost.weight_bytes)),
        ("  optimiser", _size(cost.optimiser_bytes)),
        ("  activations", _size(cost.activation_bytes)),
        ("  gradients", f"{_size(cost.gradient_bytes)}, as activations go"),
        ("  reduction's bucket", _size(cost.bucket_bytes)),
        ("  process on CPUs, about", _size(cost.process_bytes)),
    ]


def _sent(cost: Cost) -> list[tuple[str, str]]:
    traffic = cost.traffic
    rows = [
        ("  samples to experts", traffic.exchange),
        ("  gradients, all ranks", traffic.gradients),
        ("  gradients of experts", traffic.expert_gradients),
        ("  weights gathered", traffic.weights),
    ]
    return [
        ("sent per rank and step", _size(traffic.total)),
        *((name, _size(size)) for name, size in rows if size),
    ]


def _giga(flops: int) -> str:
    return f"{flops / 1e9:.2f} G"


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**28 else f"{size / 2**20:.1f} MiB"


def _millions(count: int) -> str:
    return f"{count / 1e6:.{1 if count >= 1e7 else 3}f} M"
