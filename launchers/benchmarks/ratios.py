"""Parts of the bench in, their figures out: printed as they come, then written."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.memory import keep_freed_memory
from launchers.benchmarks.constraint import constraint_figures
from launchers.benchmarks.mixture import mixture_figures
from launchers.benchmarks.network import (
    compiled_figures,
    inference_figures,
    kept_figures,
    network_figures,
    recompute_figures,
    size_figures,
)
from launchers.benchmarks.options import QUICK, USUAL
from launchers.benchmarks.provenance import provenance
from launchers.benchmarks.published_code import check_clone
from launchers.benchmarks.ranks import ranks_figures
from launchers.benchmarks.runs import memory_figures, waiting_figures
from launchers.benchmarks.timing import Figure


def bench_ratios(options: argparse.Namespace) -> None:
    """All figures that are wanted: printed as they come, then written."""
    # DeepSpeed takes seconds to load, which the other subjects need not wait for.
    from foundation.parallel.launch import join_ranks, leave_ranks

    if options.only and "runs" in options.only and options.shards is None:
        raise UserError("the part `runs` trains on shards: add --shards DIR")
    wanted = options.only or (QUICK if options.quick else USUAL)
    if options.authors is not None:
        if "network" not in wanted:
            raise UserError("--authors is timed in the part `network`; add --only network")
        check_clone(options.authors)
    device = join_ranks().device
    if device.type == "cpu":
        keep_freed_memory()  # as in a run
    rounds = 1 if options.quick else options.rounds
    parts: dict[str, Callable[[], list[Figure]]] = {
        "mixture": lambda: mixture_figures(device, rounds),
        "network": lambda: network_figures(device, rounds, options.authors),
        "compiled": lambda: compiled_figures(device, rounds),
        "constraint": lambda: constraint_figures(device, rounds),
        "inference": lambda: inference_figures(device, rounds),
        "sizes": lambda: [*size_figures(device, rounds), *recompute_figures(device, rounds)],
        "kept": lambda: kept_figures(device, rounds),
        "ranks": lambda: ranks_figures(rounds),
        "runs": lambda: [*waiting_figures(options.shards), *memory_figures(options.shards)],
    }
    figures: list[Figure] = []
    for name in wanted:
        if name == "runs" and options.shards is None:
            print("runs: left out, they need --shards DIR", file=sys.stderr)
            continue
        if name in ("ranks", "kept") and device.type != "cpu":
            print(f"{name}: left out, a matter of CPUs", file=sys.stderr)
            continue
        for figure in map(partial(_on, device), parts[name]()):
            print(f"{figure.value:8.3g}  {figure.name}{_verdict(figure)}", flush=True)
            figures.append(figure)
    leave_ranks()
    if options.output:
        _write(options.output, figures, device, rounds)


def _on(device: torch.device, figure: Figure) -> Figure:
    """What is wanted was set on CPUs; of a GPU figures are only told."""
    return figure if device.type == "cpu" else replace(figure, goal=None)


def _verdict(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return f"   ({figure.goal}: {'met' if figure.goal.met(figure.value) else 'missed'})"


def _write(path: Path, figures: list[Figure], device: torch.device, rounds: int) -> None:
    record = {
        **provenance(device),
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "figures": [figure.plain() for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, f"{json.dumps(record, indent=1)}\n".encode())
