"""What `foundation plan` does: count a preset, or simulate its steps on a cluster."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from data_shards.errors import UserError
from foundation.plan.cluster import Cluster
from foundation.plan.cost import Cost, cost_of
from foundation.plan.traffic import Spread
from foundation.train.config import RunConfig, load_run_config
from launchers.console.plan_on_cluster import (
    arranged_forecast,
    plain_plan,
    print_forecast,
    print_table,
    read_cluster,
    refuse_without_cluster,
    split_overrides,
    spread_of,
)


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    of_run, of_cluster = split_overrides(options.overrides)
    run = load_run_config(options.preset, [*of_run, *(["recompute=true"] * options.recompute)])
    _check_combination(options, run.clip)
    if options.cluster is None:
        refuse_without_cluster(options, of_cluster)
        _one(options, run, None)
    elif len(options.world) > 1 or len(options.ep_size or ()) > 1:
        print_table(options, run, read_cluster(options.cluster, of_cluster))
    else:
        _one(options, run, read_cluster(options.cluster, of_cluster))


def _one(options: argparse.Namespace, run: RunConfig, cluster: Cluster | None) -> None:
    """What one layout costs, and how long a step takes if it is said on what."""
    world, ep = options.world[0], (options.ep_size or (1,))[0]
    run.check_ranks(world, ep)
    spread = spread_of(options, run, world, ep)
    micro, again = spread.micro_batch, spread.accumulation
    cost = cost_of(run.model, world, ep, options.zero, options.bf16, micro, again, spread.recompute)
    found = None if cluster is None else arranged_forecast(options, run, cluster, spread)
    if options.json:
        plain = _plain(cost)
        if cluster and found:
            plain["scaling"] = plain_plan(options, run, cluster, found)
        print(json.dumps(plain, indent=2))
        return
    _print(options.preset, spread, cost)
    if cluster and found:
        print_forecast(options, run, cluster, found)


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


def _print(preset: str, spread: Spread, cost: Cost) -> None:
    precision = "bf16" if spread.bf16 else "fp32"
    print(
        f"{preset}: {spread.world} ranks, ep_size {spread.ep_size}, ZeRO {spread.zero_stage}, "
        f"{precision}, micro-batch {spread.micro_batch}"
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
    if cost.flops_solved:
        rows.append(("  of it the constraint's", f"{_giga(cost.flops_solved)} with backward"))
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
        ("  process on CPUs, about", f"{_size(cost.process_bytes)}, keeping what is freed"),
    ]


def _sent(cost: Cost) -> list[tuple[str, str]]:
    traffic = cost.traffic
    exchanged = "samples to experts" if cost.expert_parameters else "boxes to their ranks"
    rows = [
        (f"  {exchanged}", traffic.exchange),
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
