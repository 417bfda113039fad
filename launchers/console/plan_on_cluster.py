"""`foundation plan --cluster`: a run's configuration in, seconds and limits printed."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from data_shards.errors import UserError
from foundation.plan.cluster import Cluster, cluster_names, cluster_values
from foundation.plan.forecast import MOST_RANKS, Break, StepForecast, first_break, forecast
from foundation.plan.layouts import best, fitting_ep_sizes, laid_out
from foundation.plan.placement import placed
from foundation.plan.step_time import Arrangement
from foundation.plan.traffic import Spread
from foundation.train.config import RunConfig, apply_override

_PREFIX = "cluster."
_PARTS = {
    "compute": "forward and backward",
    "launches": "launches, whatever the batch",
    "waiting": "waiting for the fullest rank",
    "exchange": "samples to experts and back",
    "gradients": "gradients reduced",
    "weights": "weights gathered",
    "optimiser": "optimiser",
}
_COLUMNS = "  {:>6} {:>4} {:>8} {:>6} {:>10} {:>11} {:>6}  {:<16} {:>8}  {}"
_HEADER = ("GPUs", "ep", "experts", "micro", "ms/step", "samples/s", "eff.", "bound by", "GiB/GPU")


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides of the run and those of the cluster, the latter without their prefix."""
    of_cluster = [text.removeprefix(_PREFIX) for text in overrides if text.startswith(_PREFIX)]
    return [text for text in overrides if not text.startswith(_PREFIX)], of_cluster


def refuse_without_cluster(options: argparse.Namespace, of_cluster: Sequence[str]) -> None:
    """Refuse what only makes sense on a cluster.

    Raises:
        UserError: several layouts, or anything said of a cluster, without one.
    """
    said = options.across or options.hierarchical or options.overlap != "none" or options.skew
    if said or of_cluster or len(options.world) > 1 or len(options.ep_size or ()) > 1:
        raise UserError(
            "a table of layouts and all that is said of a cluster need --cluster; take one of "
            f"{', '.join(cluster_names())}, or a FILE.yaml"
        )


def read_cluster(name: str, overrides: Sequence[str]) -> Cluster:
    """A shipped cluster or a file's, with overrides.

    Raises:
        UserError: an unknown name or key, or a value out of range.
    """
    values = cluster_values(name)
    for override in overrides:
        apply_override(values, override)
    if overrides:
        values["source"] = f"{values.get('source')}; set here: {', '.join(overrides)}"
    return Cluster.read(values, f"cluster {name}")


def spread_of(options: argparse.Namespace, run: RunConfig, world: int, ep_size: int) -> Spread:
    """The layout that options ask for.

    Raises:
        UserError: the global batch does not divide by ranks times accumulation.
    """
    micro = options.micro or run.step_on(world).micro_batch
    again = run.accumulation
    return Spread(world, ep_size, options.zero, options.bf16, micro, again, run.recompute)


def arranged_forecast(
    options: argparse.Namespace, run: RunConfig, cluster: Cluster, spread: Spread
) -> StepForecast:
    """The forecast of one layout."""
    return forecast(run.model, spread, cluster, _arrangement(options))


def _arrangement(options: argparse.Namespace) -> Arrangement:
    return Arrangement(
        where="across" if options.across else "inside",
        hierarchical=options.hierarchical,
        overlap_exchange=options.overlap in ("exchange", "both"),
        overlap_gradients=options.overlap in ("gradients", "both"),
        skew=options.skew,
    )


def plain_forecast(found: StepForecast, cluster: Cluster) -> dict[str, Any]:
    """A forecast for programs; seconds, samples per second, bytes."""
    return {
        "simulated_from": cluster.source,
        "world": found.spread.world,
        "ep_size": found.spread.ep_size,
        "micro_batch": found.spread.micro_batch,
        "global_batch": found.global_batch,
        "arrangement": asdict(found.arrangement),
        "seconds_per_step": found.time.total,
        "seconds": found.time.parts(),
        "hidden_seconds": asdict(found.hidden),
        "samples_per_s": found.samples_per_s,
        "efficiency": found.efficiency,
        "bound_by": found.bound,
        "peak_bytes": found.cost.peak_bytes,
        "fits": found.fits,
    }


def plain_plan(
    options: argparse.Namespace, run: RunConfig, cluster: Cluster, found: StepForecast
) -> dict[str, Any]:
    """A forecast for programs, with where doubling the GPUs ends; None if nowhere."""
    broken = first_break(found, run.model, cluster, grow=bool(options.micro))
    end = None if broken is None else {"world": broken.world, "reason": broken.reason}
    return plain_forecast(found, cluster) | {"breaks_first": end}


def print_forecast(
    options: argparse.Namespace, run: RunConfig, cluster: Cluster, found: StepForecast
) -> None:
    """The second half of a plan: seconds by part, and where more GPUs stop helping."""
    print(f"on {options.cluster}, simulated: {_nodes(found, cluster)}")
    for name, value in _forecast_rows(options, run, cluster, found):
        print(f"  {name:<32}{value}")
    print(f"  from {cluster.source}")


def _forecast_rows(
    options: argparse.Namespace, run: RunConfig, cluster: Cluster, found: StepForecast
) -> Iterator[tuple[str, str]]:
    total = found.time.total
    hidden = asdict(found.hidden)
    yield "seconds per step", f"{total:.5f}"
    for name, seconds in found.time.parts().items():
        beside = f", {hidden[name]:.5f} more beside other work" if hidden.get(name) else ""
        if seconds or beside:
            yield f"  {_PARTS[name]}", f"{seconds:.5f}  {seconds / total:4.0%}{beside}"
    yield "samples per second", f"{found.samples_per_s:.0f}, global batch {found.global_batch}"
    yield "efficiency against one GPU", _efficiency(found)
    yield "bound by", _PARTS[found.bound]
    broken = first_break(found, run.model, cluster, grow=bool(options.micro))
    most = MOST_RANKS if cluster.between else cluster.gpus_per_node
    yield "breaks first", _break(broken, found, most)
    fits = "fits" if found.fits else "DOES NOT FIT"
    yield "memory", f"{_gib(found.cost.peak_bytes)} of {_gib(cluster.memory_bytes)} GiB, {fits}"


def _nodes(found: StepForecast, cluster: Cluster) -> str:
    spread, way = found.spread, found.arrangement
    groups = placed(cluster, spread.world, spread.ep_size, way.where)
    nodes = groups.everyone.nodes
    said = f"{spread.world} GPUs on {nodes} {'node' if nodes == 1 else 'nodes'}"
    if spread.ep_size == 1:
        return f"{said}, all experts on each"
    exchange = "hierarchical" if way.hierarchical else "flat"
    spanned = groups.exchanging.nodes
    place = "inside a node" if spanned == 1 else f"across {spanned} nodes"
    return f"{said}, experts {place}, {exchange} exchange"


def _efficiency(found: StepForecast) -> str:
    if found.efficiency is None:
        return "unknown: one GPU's memory does not hold a single sample"
    return f"{found.efficiency:.0%}"


def _break(broken: Break | None, start: StepForecast, most: int) -> str:
    if broken is None:
        return f"nothing up to {most} GPUs"
    now = broken.world == start.spread.world
    place = "here already" if now else f"at {broken.world} GPUs"
    if broken.reason == "nodes":
        return f"{place}: they do not fill nodes"
    if broken.forecast is None:
        micro = start.global_batch // start.spread.accumulation
        return f"{place}: the global batch leaves them no whole samples ({micro} per forward)"
    if broken.reason == "memory":
        return f"{place}: memory"
    return (
        f"{place}: efficiency {_efficiency(broken.forecast)}, most lost to "
        f"{_PARTS[broken.forecast.largest_loss]}"
    )


def print_table(options: argparse.Namespace, run: RunConfig, cluster: Cluster) -> None:
    """All layouts of all worlds, the fastest that fits of each world marked."""
    rows = [(world, *_of_world(options, run, cluster, world)) for world in options.world]
    if options.json:
        layouts = [
            plain_forecast(f, cluster) | {"best": f is best(found)}
            for _, found, _ in rows
            for f in found
        ]
        refused = {str(world): reason for world, _, reason in rows if reason}
        print(json.dumps({"layouts": layouts, "refused": refused}, indent=2))
        return
    precision = "bf16" if options.bf16 else "fp32"
    batch = f"micro-batch {options.micro}" if options.micro else f"global batch {run.global_batch}"
    exchange = "hierarchical" if options.hierarchical else "flat"
    print(
        f"{options.preset} on {options.cluster}, simulated: ZeRO {options.zero}, {precision}, ",
        end="",
    )
    print(f"{batch}, {exchange} exchange, overlap {options.overlap}")
    print(_COLUMNS.format(*_HEADER, "").rstrip())
    for world, found, reason in rows:
        for layout in found:
            print(_row(layout, layout is best(found)))
        if reason:
            print(f"  {world:>6} {reason}")
    print(f"  * fastest of its number of GPUs; from {cluster.source}")


def _of_world(
    options: argparse.Namespace, run: RunConfig, cluster: Cluster, world: int
) -> tuple[list[StepForecast], str]:
    """Layouts of a world; or none and why."""
    sizes = options.ep_size or fitting_ep_sizes(run.model, world)
    for ep_size in sizes:
        run.check_ranks(world, ep_size)
    try:
        spread = spread_of(options, run, world, 1)
    except UserError as error:
        return [], str(error)
    return laid_out(run.model, spread, sizes, cluster, _arrangement(options)), ""


def _row(found: StepForecast, is_best: bool) -> str:
    spread = found.spread
    efficiency = "" if found.efficiency is None else f"{found.efficiency:.0%}"
    note = "*" if is_best else "" if found.fits else "does not fit"
    return _COLUMNS.format(
        spread.world,
        spread.ep_size,
        "whole" if spread.ep_size == 1 else found.arrangement.where,
        spread.micro_batch,
        f"{found.time.total * 1e3:.2f}",
        f"{found.samples_per_s:.0f}",
        efficiency,
        f"{found.bound} {found.time.parts()[found.bound] / found.time.total:.0%}",
        _gib(found.cost.peak_bytes),
        note,
    ).rstrip()


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
