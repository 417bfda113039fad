"""What a run records of itself: waiting for samples, memory of all ranks.

Short runs of the launcher on shards that are there, in processes of their own.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from data_shards.shards.manifest import read_manifest
from launchers.benchmarks.timing import Figure, at_most
from launchers.console.arguments import DEFAULT_DEEPSPEED_CONFIG
from launchers.training.process import module_command, train_in

_STEPS = 8
_RARELY = 10**6  # steps: validation and checkpoint come at the end alone


def waiting_figures(shards: Path) -> list[Figure]:
    """Share of a step's time in which a rank waits for samples, tiny in bf16 at batch 8."""
    figures = []
    for workers, goal in ((0, None), (1, at_most(0.02))):
        rows = _rows_of("tiny_plus", shards, 1, ["global_batch=8", f"data.workers={workers}"])
        shares = tuple(row["seconds_waiting_per_step"] / row["seconds_per_step"] for row in rows)
        name = f"tiny, batch 8, bf16, {workers} workers: waiting for samples / step"
        figures.append(Figure(name, statistics.median(shares), goal, shares))
    return figures


def memory_figures(shards: Path) -> list[Figure]:
    """Resident memory of both ranks that train medium, most of which is the optimiser's state."""
    figures = []
    for said, deepspeed in (("", "zero1_bf16"), (", optimiser offloaded", "zero1_bf16_offload")):
        rows = _rows_of("medium_plus", shards, 2, ["global_batch=2", "steps=5"], deepspeed)
        name = f"medium, ep 2, ZeRO 1, bf16, micro-batch 1{said}"
        memory = max(row["peak_memory_gib"] for row in rows)
        seconds = tuple(row["seconds_per_step"] for row in rows)
        figures += [
            Figure(f"{name}: memory of both ranks, GiB", memory, at_most(20.0)),
            Figure(f"{name}: seconds per step", statistics.median(seconds), None, seconds),
        ]
    return figures


def _rows_of(
    preset: str, shards: Path, ranks: int, overrides: list[str], deepspeed: str = "zero1_bf16"
) -> list[dict[str, Any]]:
    """Lines of a run's metrics but for the first, which also warms up."""
    names = [entry.corpus for entry in read_manifest(shards).entries if entry.split == "train"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        command = [
            *module_command("launchers.pretrain", ranks),
            *("--preset", preset, "--shards", str(shards.absolute()), "--output", str(output)),
            *("--ep-size", str(ranks), "--skip-checksums"),
            *("--deepspeed-config", str(DEFAULT_DEEPSPEED_CONFIG.with_name(f"{deepspeed}.json"))),
            *(f"data.corpora=[{','.join(names)}]", "optimiser.lr=1e-4"),
            *(f"steps={_STEPS}", "log_every=1", f"checkpoint.every={_RARELY}"),
            *(f"validation.every={_RARELY}", "validation.limit=1", "validation.horizon=1"),
            *overrides,
        ]
        train_in(output, command, f"{preset} on {ranks} ranks")
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "train"][1:]
