"""Seconds of a training step by two versions of this project, in turns.

    git worktree add ../before 6b2159a
    python launchers/benchmarks/versions.py ../before . --output versions.json

Each version stands in a process of its own that takes a step whenever it is asked to: tiny, 8
samples at 128x128, in DeepSpeed's engine, as `launchers/bench.py` makes it. A step is taken twice,
and the second counts.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

WAYS = ("fp32", "bf16")
SAMPLES = 8


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs=2, type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    stepping = [started(checkout.resolve()) for checkout in options.checkouts]
    seconds: list[dict[str, list[float]]] = [{way: [] for way in WAYS} for _ in stepping]
    for turn in range(options.rounds + 1):  # the first warms both up
        for way in WAYS:
            for which in (0, 1) if turn % 2 else (1, 0):
                taken = seconds_of_a_step(stepping[which], way)
                if turn:
                    seconds[which][way].append(round(taken, 4))
    for process in stepping:
        process.communicate()
    commits = [commit_of(checkout) for checkout in options.checkouts]
    versions = [{"commit": c, "seconds": s} for c, s in zip(commits, seconds, strict=True)]
    options.output.write_text(json.dumps({"samples": SAMPLES, "versions": versions}) + "\n")


def started(checkout: Path) -> "subprocess.Popen[str]":
    """A version that waits to be asked."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "DS_ACCELERATOR": "cpu"}
    # Not what lies beside this file, but the version's own.
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--steps"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=checkout, env=environment, stdin=pipe, stdout=pipe, text=True
    )


def seconds_of_a_step(process: "subprocess.Popen[str]", way: str) -> float:
    """Asked and answered."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(way, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("a version has ended; what it said stands above")
    return float(answer)


def commit_of(checkout: Path) -> str:
    """What stands there."""
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def answer_with_steps(answers: TextIO) -> None:
    """Take a step of the version on the path for every line that comes in."""
    # Versions have these in different places.
    from data_shards.errors import UserError
    from foundation.parallel.launch import join_ranks
    from foundation.train.config import load_run_config
    from launchers.benchmarks import network, samples

    try:
        from data_shards.memory import keep_freed_memory
    except ImportError:
        from data_shards.stream.memory import keep_freed_memory  # type: ignore[no-redef, import-not-found, unused-ignore]
    try:
        load_run_config("tiny_plus", [])
        preset = "tiny_plus"
    except UserError:
        preset = "tiny"
    device = join_ranks().device
    keep_freed_memory()
    config = network.config_of(preset)
    batch = samples.random_batch(config, SAMPLES, device=device)
    steps: dict[str, Any] = {
        way: network.engine_step(network.spread(config, batch, device), batch, bf16=way == "bf16")
        for way in WAYS
    }
    for line in sys.stdin:
        step = steps[line.strip()]
        step()
        began = perf_counter()
        step()
        print(perf_counter() - began, file=answers, flush=True)


if __name__ == "__main__":
    if "--steps" in sys.argv:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries say goes elsewhere
        answer_with_steps(answers)
    else:
        main()
