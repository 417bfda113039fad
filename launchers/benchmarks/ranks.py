"""What expert parallelism costs on one machine: CPU seconds of a sample, by layout.

Ranks that share cores cannot be faster than one; what they spend beyond it is the price of
exchanges and reductions. CPU seconds count, of all threads of all ranks: wall-clock time would
count a rank's waiting for its turn on a core.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from data_shards.memory import keep_freed_memory
from foundation.parallel.launch import join_ranks, leave_ranks
from launchers.benchmarks.network import config_of, engine_step, spread
from launchers.benchmarks.samples import random_batch
from launchers.benchmarks.timing import Figure, at_most, ratio

Seconds = dict[str, list[float]]  # by expert-parallel size, round by round


def ranks_figures(rounds: int, samples: int = 4) -> list[Figure]:
    """Two ranks that share experts against two that hold all of them, in turns."""
    spent = _cpu_seconds(2, rounds, samples)
    name = f"tiny, 2 ranks, {samples} samples each, fp32, CPU seconds per sample: ep 2 / ep 1"
    return [ratio(name, spent["2"], spent["1"], at_most(1.25))]


def _cpu_seconds(ranks: int, rounds: int, samples: int) -> Seconds:
    """Per sample, of all ranks together."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_rank, (ranks, rounds, samples, folder), nprocs=ranks)  # type: ignore[no-untyped-call]
        each: list[Seconds] = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    return {
        ep: [sum(spent) / (ranks * samples) for spent in zip(*(s[ep] for s in each), strict=True)]
        for ep in each[0]
    }


def _rank(rank: int, ranks: int, rounds: int, samples: int, folder: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_SIZE": str(ranks),
    }
    meeting = f"file://{folder}/meeting"
    dist.init_process_group(init_method=meeting, rank=rank, world_size=ranks)
    device = join_ranks().device  # takes the group that is there
    keep_freed_memory()  # as in a run
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, seed=rank, device=device)
    everybodys = random_batch(config, ranks * samples, device=device)
    steps = {
        ep: engine_step(spread(config, everybodys, device), batch, bf16=False, ep_size=ep)
        for ep in range(1, ranks + 1)
    }
    spent: Seconds = {str(ep): [] for ep in steps}
    for number in range(rounds + 1):
        for ep, step in steps.items():
            began = time.process_time()
            step()
            if number > 0:
                spent[str(ep)].append(time.process_time() - began)
    leave_ranks()
    (Path(folder) / f"{rank}.json").write_text(json.dumps(spent))
