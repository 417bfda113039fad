"""Records for boards, made by hand: models of many sizes on many tasks, with pictures."""

from pathlib import Path

import numpy as np

from evaluation.records.record import Machine, ModelFacts, Provenance, Record, Score
from evaluation.records.results import save_results
from evaluation.records.samples import Picture, SampleValues
from evaluation.tasks.task import Task, load_tasks
from evaluation.transfer.record import Source, TransferFacts, TransferRecord

TASKS = load_tasks()
SIZES = {"tiny": 2_000_000, "small": 30_000_000, "medium": 166_000_000, "large": 489_000_000}


def board_record(
    name: str,
    value: float,
    task: Task,
    *,
    kind: str = "moe_pot",
    size: int = 30_000_000,
    floor: bool = False,
    flops: int | None = None,
) -> Record:
    """A record as the runner would write it, with the headline `value`."""
    steps = task.rollout_frames
    return Record(
        model=ModelFacts(
            name=name,
            model_type=kind,
            source=name,
            floor=floor,
            parameters_total=0 if floor else size,
            parameters_activated=0 if floor else (size // 2 if kind == "moe_pot" else size),
            flops_per_frame=flops,
            fingerprint=name.ljust(64, "0"),
            config_hash="c" * 64,
        ),
        task=task,
        task_hash=task.hash,
        scores={task.headline: Score(value=value, standard_error=0.05 * value)},
        error_per_frame=tuple(value * (1 + t) / steps for t in range(steps)),
        num_samples=8,
        num_available=8,
        num_non_finite=0,
        seconds=1.5,
        provenance=Provenance(
            date="2026-01-01T00:00:00+00:00",
            git_commit="0123456789abcdef",
            machine=Machine(cpu="Some CPU", cores=2, device="cpu", torch="2"),
            shard_fingerprint="5" * 64,
            resolution=64,
            stride=1,
            batch_size=8,
        ),
    )


def board_picture(side: int = 64, frames: int = 4, rows: int | None = None) -> Picture:
    """A wave that moves, and a forecast of it that lags behind; a solid corner."""
    y, x = np.meshgrid(np.arange(rows or side), np.arange(side), indexing="ij")
    phases = np.arange(frames)[:, None, None, None]
    waves = [np.sin(2 * np.pi * (2 * x + y) / side + speed * phases) for speed in (0.5, 0.4)]
    truth, prediction = (wave.astype(np.float32) for wave in waves)
    fluid = np.ones((rows or side, side), np.float32)
    if rows is None:
        fluid[: side // 4, : side // 4] = 0
    return Picture(np.arange(1, frames + 1) * 2, truth, prediction, fluid)


def large_board(tasks: list[Task]) -> list[Record]:
    """Floors, four mixtures of growing size and two dense networks of long names on some tasks."""
    rng = np.random.default_rng(0)
    records = []
    for place, task in enumerate(tasks):
        hardness = 0.05 * (1 + place % 5)
        for name, size in SIZES.items():
            value = hardness * (size / 1e6) ** -0.2 * rng.uniform(0.9, 1.1)
            records.append(board_record(name, value, task, size=size, flops=40 * size))
        for name, size in (("a_dense_network_of_a_very_long_name", 9_000_000), ("fno", 500_000)):
            records.append(board_record(name, hardness, task, kind="dpot", size=size))
        for name, factor in (("persistence", 2.0), ("context_mean", 4.0)):
            records.append(board_record(name, factor * hardness, task, kind=name, floor=True))
    return records


def save_board_records(path: Path, records: list[Record], picture: Picture | None = None) -> None:
    """A results file of them, with the same picture of every sample."""
    judged = []
    for record in records:
        values_N = np.full(8, record.headline.value)
        per_frame = np.tile(np.array(record.error_per_frame), (8, 1))
        keys = tuple(f"trajectory-{i}@0" for i in range(8))
        values = SampleValues(keys, {record.task.headline: values_N}, per_frame, picture)
        judged.append((record, values))
    save_results(path, judged)


def few_shot_runs(task: Task, sizes: tuple[int, ...] = (4, 16, 64)) -> dict[str, TransferRecord]:
    """A sweep: two seeds of every size, of which the checkpoint needs a quarter of the data."""
    runs = {}
    factors: dict[Source, float] = {"pretrained": 1.0, "scratch": 2.0}
    for source, factor in factors.items():
        for size in sizes:
            for seed in (0, 1):
                name = f"{source}-{size}-{seed}"
                value = factor * (0.1 + 0.01 * seed) * (size / 4) ** -0.5
                facts = TransferFacts(
                    identity=name,
                    source=source,
                    checkpoint="runs/tiny",
                    checkpoint_sha256=None if source == "scratch" else "7" * 64,
                    corpus=task.corpus,
                    trajectories=size,
                    seed=seed,
                    recipe="fine_tuning",
                    overrides=(),
                    router="frozen",
                    steps=10,
                    samples=80,
                    train_fingerprint="6" * 64,
                    train_seconds=1.0,
                )
                runs[name] = TransferRecord(transfer=facts, record=board_record(name, value, task))
    return runs
