"""Runs of the launchers of training inside a group of ranks."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from architectures import network_of
from travelling_waves import CORPORA

from foundation.checkpoint.folder import save_folder

SETTINGS = (
    f"data.corpora=[{','.join(CORPORA)}]",
    "steps=8",
    "log_every=1",
    "validation.every=4",
    "checkpoint.every=4",
    "model.resolution=16",
)


class StopAfter:
    """A stop request that comes in a given step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def pretrain(
    shards: Path,
    output: Path,
    ep_size: int = 1,
    stop_after: int | None = None,
    extra: tuple[str, ...] = (),
) -> int:
    """The launcher's main on this rank; its exit code."""
    import launchers.training.launch as training
    from launchers.pretrain import main

    if stop_after is not None:
        training.StopRequest = lambda: StopAfter(stop_after)  # type: ignore[misc,assignment]
    return main(
        [
            *("--local_rank=0", "--preset", "debug", "--shards", str(shards)),
            *("--output", str(output), "--ep_size", str(ep_size)),
            *SETTINGS,
            *extra,
        ]
    )


def watched(
    watch: Callable[[], AbstractContextManager[Any]],
    shards: Path,
    output: Path,
    ep_size: int,
    extra: tuple[str, ...],
) -> list[Any]:
    """What a watch saw of each optimiser step of a run of the launcher, on this rank."""
    import launchers.training.launch as training

    seen: list[Any] = []

    class Watched(training.Trainer):
        def _step(self, *arguments: Any) -> Any:
            with watch() as counted:
                done = super()._step(*arguments)
            seen.append(counted.seen)
            return done

    training.Trainer = Watched  # type: ignore[misc]
    assert pretrain(shards, output, ep_size, extra=extra) == 0
    return seen


def finetune(
    checkpoint: Path,
    shards: Path,
    output: Path,
    ep_size: int = 1,
    stop_after: int | None = None,
    extra: tuple[str, ...] = (),
) -> int:
    """The launcher's main on this rank, on the single-channel corpus; its exit code."""
    import launchers.training.launch as training
    from launchers.finetune import main

    if stop_after is not None:
        training.StopRequest = lambda: StopAfter(stop_after)  # type: ignore[misc,assignment]
    return main(
        [
            *("--local_rank=0", "--checkpoint", str(checkpoint), "--corpus", CORPORA[0]),
            *("--shards", str(shards), "--output", str(output), "--ep_size", str(ep_size)),
            *("steps=6", "global_batch=4", "log_every=1"),
            *extra,
        ]
    )


def write_checkpoint(folder: Path, name: str = "moe_pot", seed: int = 5, **options: Any) -> Path:
    """A checkpoint folder with initial weights of an architecture at the size of a test."""
    model = network_of(name, seed, **options)
    save_folder(folder, model.config, model.state_dict(), {"preset": "test", "seed": seed})
    return folder


def rows(output: Path, kind: str = "train") -> list[dict[str, Any]]:
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def curve(output: Path, kind: str = "train") -> list[Any]:
    """What a run computed, without what its clock measured."""
    timed = re.compile(r"seconds|samples_per_s|memory")
    return [{k: v for k, v in row.items() if not timed.search(k)} for row in rows(output, kind)]
