"""What ranks here pass on per second: collectives and steps measured, a cluster file out.

Over the ranks of a group, each with one core or one GPU, all at once:
- all-to-all and all-reduce at several sizes, within a node and, where there are several, between
  ranks of the same place on different nodes; alpha and beta of both kinds of link are fitted.
- forward and backward passes of a preset at several batches: the FLOP/s attained and what a block
  costs however small the batch. Matrix products for the peak, a copy for memory.

Times are medians of rounds that alternate between sizes; of the ranks the slowest counts.
The record's `cluster` is what `foundation plan --cluster FILE.yaml` reads.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml
from torch.multiprocessing.spawn import spawn

from data_shards.atomic import replace_file
from data_shards.memory import keep_freed_memory
from data_shards.stream.batch import Batch
from foundation.models.registry import ModelConfig, build_model, work_of
from foundation.plan.cluster import Cluster
from foundation.plan.cost import cost_of
from foundation.plan.fit import Fit, Point, fitted
from foundation.train.config import load_run_config
from launchers.benchmarks.options import BATCHES
from launchers.benchmarks.provenance import provenance

SIZES = tuple(4 * 2**power for power in range(10, 24, 2))  # bytes of a rank's buffer, to 16 MiB
_OFTEN = 5  # more rounds of collectives, which are short, than of steps
_SIDE = 1024  # of matrices that show the peak
_COPIED = 2**26  # bytes


@dataclass(frozen=True)
class Measurement:
    """What is to be measured.

    Attributes:
        sizes: bytes of a rank's buffer.
        rounds: of steps; of the shorter collectives there are five times as many.
        preset: whose passes show the FLOP/s that are attained.
        batches: samples of these passes.
    """

    sizes: tuple[int, ...] = SIZES
    rounds: int = 5
    preset: str = "nano"
    batches: tuple[int, ...] = BATCHES


def bench_links(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    what = Measurement(rounds=options.rounds, preset=options.preset, batches=options.batches)
    record = measure_links(options.ranks, what)
    if record is None:
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    replace_file(options.output, f"{json.dumps(record, indent=1)}\n".encode())
    if options.cluster:
        text = yaml.safe_dump(record["cluster"], sort_keys=False, width=1000)
        replace_file(options.cluster, text.encode())
    for fit in record["fits"]:
        print(
            f"{fit['of']:<24} alpha {fit['alpha']:.2e} s   beta {fit['beta']:.2e} s "
            f"{fit['per']}   residual {fit['residual']:.0%}"
        )


def measure_links(ranks: int, what: Measurement) -> dict[str, Any] | None:
    """The record of a measurement.

    Args:
        ranks: to be started on this machine, if no launcher has started any.
        what: sizes and rounds.

    Returns:
        The record; None on all launched ranks but the first.
    """
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group(_backend())
        local = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE")
        measured = _measured(what, int(local or dist.get_world_size()))
        first = dist.get_rank() == 0
        dist.destroy_process_group()
        return _record(measured, what) if first else None
    with tempfile.TemporaryDirectory() as folder:
        spawn(_rank, (ranks, folder, what), nprocs=ranks)  # type: ignore[no-untyped-call]
        return _record(json.loads((Path(folder) / "measured.json").read_text()), what)


def _rank(rank: int, ranks: int, folder: str, what: Measurement) -> None:
    os.environ["LOCAL_RANK"] = str(rank)
    meeting = f"file://{folder}/meeting"
    dist.init_process_group(_backend(), init_method=meeting, rank=rank, world_size=ranks)
    measured = _measured(what, ranks)
    if rank == 0:
        (Path(folder) / "measured.json").write_text(json.dumps(measured))
    dist.destroy_process_group()


def _backend() -> str:
    return "nccl" if torch.cuda.is_available() else "gloo"


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def _measured(what: Measurement, per_node: int) -> dict[str, Any]:
    """Plain values, the same on every rank."""
    device, world = _device(), dist.get_world_size()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // per_node))
    if device.type == "cpu":
        keep_freed_memory()  # as in a run
    groups = {"inside": _own_group(range(world), lambda rank: rank // per_node)}
    if world > per_node:
        groups["between"] = _own_group(range(world), lambda rank: rank % per_node)
    points = [
        point
        for place, group in groups.items()
        if dist.get_world_size(group) > 1
        for point in _collectives(place, group, what, device)
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // per_node
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    return {
        "ranks": world,
        "ranks_per_node": per_node,
        "points": points,
        "steps": _steps(what, device),
        "peak_bf16_flops": _peak(torch.bfloat16, what.rounds, device),
        "peak_fp32_flops": _peak(torch.float32, what.rounds, device),
        "memory_bytes": memory,
        "memory_bytes_per_s": _memory_rate(what.rounds, device),
    }


def _own_group(ranks: Sequence[int], part: Callable[[int], int]) -> Any:
    """The group of the ranks of one part; all ranks make all groups, in the same order."""
    own = None
    for number in sorted({part(rank) for rank in ranks}):
        group = dist.new_group([rank for rank in ranks if part(rank) == number])
        own = group if part(dist.get_rank()) == number else own
    return own


def _collectives(
    place: str, group: Any, what: Measurement, device: torch.device
) -> list[dict[str, Any]]:
    """Medians per kind and size, with what a rank sends by the algorithm that sends least."""
    ranks = dist.get_world_size(group)
    buffers = {size: torch.ones(size // 4, device=device) for size in what.sizes}
    received = {size: torch.empty_like(buffer) for size, buffer in buffers.items()}

    def exchange(size: int) -> None:
        whole = size // 4 // ranks * ranks
        dist.all_to_all_single(received[size][:whole], buffers[size][:whole], group=group)

    def reduce(size: int) -> None:
        dist.all_reduce(buffers[size], op=dist.ReduceOp.MAX, group=group)

    kinds = {"all_to_all": (exchange, 1), "all_reduce": (reduce, 2)}
    ways = {
        (kind, size): partial(call, size)
        for (kind, (call, _)), size in product(kinds.items(), what.sizes)
    }
    return [
        {
            "link": place,
            "kind": kind,
            "ranks": ranks,
            "buffer_bytes": size,
            "messages": kinds[kind][1] * (ranks - 1),
            "sent_bytes": kinds[kind][1] * size * (ranks - 1) // ranks,
            "seconds": seconds,
        }
        for (kind, size), seconds in _medians(ways, _OFTEN * what.rounds, device).items()
    ]


def _steps(what: Measurement, device: torch.device) -> list[dict[str, Any]]:
    """Forward and backward passes of the preset, bfloat16 on a GPU."""
    config = load_run_config(what.preset, []).model
    half = device.type == "cuda"
    model = build_model(config, seed=0).to(device, torch.bfloat16 if half else torch.float32)
    flops, blocks = cost_of(config, 1, 1, 1, half, 1).flops_step, work_of(config).depth

    def step(batch: Batch) -> None:
        model.zero_grad()
        model(batch).fields.float().square().mean().backward()

    batches = {size: _batch(config, size).to(device) for size in what.batches}
    ways = {size: partial(step, batch) for size, batch in batches.items()}
    return [
        {"samples": size, "blocks": blocks, "flops": size * flops, "seconds": seconds}
        for size, seconds in _medians(ways, what.rounds, device).items()
    ]


def _batch(config: ModelConfig, size: int) -> Batch:
    """Noise of the preset's shape."""
    layout, noise = config.layout, torch.Generator().manual_seed(0)
    frames = (size, config.context_frames, layout.channels, *layout.grid)
    return Batch(
        given=torch.randn(frames, generator=noise),
        asked=torch.zeros(size, config.out_frames, layout.num_asked, *layout.grid),
        asked_mask=torch.ones(size, layout.num_asked),
        valid_mask=torch.ones(size, 1, *layout.grid),
        corpus_id=torch.zeros(size, dtype=torch.int64),
        keys=("",) * size,
    )


def _peak(dtype: torch.dtype, rounds: int, device: torch.device) -> float:
    """FLOP/s of a matrix product while all ranks make one."""
    side = _SIDE * (8 if device.type == "cuda" else 1)
    a = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / _medians({"product": lambda: a @ a}, rounds, device)["product"]


def _memory_rate(rounds: int, device: torch.device) -> float:
    """Bytes read and written per second by a copy while all ranks make one."""
    a = torch.ones(_COPIED // 4, device=device)
    b = torch.empty_like(a)
    return 2 * _COPIED / _medians({"copy": lambda: b.copy_(a)}, rounds, device)["copy"]


def _medians(
    ways: Mapping[Any, Callable[[], object]], rounds: int, device: torch.device
) -> dict[Any, float]:
    """Median seconds of each way, of the slowest rank, after a round that is not counted."""
    seconds: dict[Any, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            dist.barrier()
            began = time.perf_counter()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            spent = torch.tensor(time.perf_counter() - began, device=device)
            dist.all_reduce(spent, op=dist.ReduceOp.MAX)
            if number > 0:
                seconds[name].append(float(spent))
    return {name: statistics.median(times) for name, times in seconds.items()}


def _record(measured: dict[str, Any], what: Measurement) -> dict[str, Any]:
    """Measured values, what was fitted to them, and the cluster that they make."""
    origin = provenance(_device())
    machine = f"{origin['machine']['cpu']}, {origin['machine']['device']}"
    points = measured["points"]
    links = {place: _fit_of(points, link=place) for place in ("inside", "between")}
    kinds = {
        f"{place} {kind}": _fit_of(points, link=place, kind=kind)
        for place, kind in product(links, ("all_to_all", "all_reduce"))
    }
    step = fitted([Point(s["blocks"], s["flops"], s["seconds"]) for s in measured["steps"]])
    cluster = _cluster(measured, links, step, machine, origin["commit"], what)
    fits = {f"link {place}": fit for place, fit in links.items()} | kinds
    return {
        **origin,
        "ranks": measured["ranks"],
        "preset": what.preset,
        "fits": [
            {"of": name, "per": "per byte", **asdict(fit)} for name, fit in fits.items() if fit
        ]
        + [{"of": f"step of {what.preset}", "per": "per FLOP", **asdict(step)}],
        "points": points,
        "steps": measured["steps"],
        "cluster": cluster.model_dump(mode="json"),
    }


def _fit_of(points: Sequence[dict[str, Any]], **wanted: str) -> Fit | None:
    chosen = [p for p in points if all(p[key] == value for key, value in wanted.items())]
    if not chosen:
        return None
    return fitted([Point(p["messages"], p["sent_bytes"], p["seconds"]) for p in chosen])


def _cluster(
    measured: dict[str, Any],
    links: dict[str, Fit | None],
    step: Fit,
    machine: str,
    commit: str,
    what: Measurement,
) -> Cluster:
    """What a plan reads; a rank counts as a GPU."""
    peak = {name: measured[name] for name in ("peak_bf16_flops", "peak_fp32_flops")}
    used = peak["peak_bf16_flops" if torch.cuda.is_available() else "peak_fp32_flops"]
    ends = {
        place: {"alpha_s": fit.alpha, "beta_s_per_byte": fit.beta}
        for place, fit in links.items()
        if fit
    }
    values = {
        "source": f"measured on {machine}, {measured['ranks']} ranks, steps of {what.preset}, "
        f"commit {commit}",
        "gpus_per_node": measured["ranks_per_node"],
        "memory_bytes": measured["memory_bytes"],
        "memory_bytes_per_s": measured["memory_bytes_per_s"],
        **peak,
        "attained_share": min(1 / (step.beta * used), 1.0) if step.beta else 1.0,
        "launch_s_per_block": step.alpha,
        "inside": {"alpha_s": 0.0, "beta_s_per_byte": 0.0},  # of a rank alone
        **ends,
    }
    return Cluster.read(values, "measured cluster")
