"""A trainer that learns nothing: training folders as real ones are left, in no time."""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_shards.shards.corpus import ShardedCorpus
from evaluation.study.config import StudyRun
from evaluation.transfer.sweep import TransferRun
from foundation.checkpoint.folder import save_folder
from foundation.models.registry import build_model
from foundation.train.config import RunConfig
from foundation.train.run_folder import Job, Launch, write_run


@dataclass
class Beginner:
    """Leaves initial weights of the run's seed; validation likes a learning rate of 1e-3."""

    shards: Path
    jobs: int = 1
    engine: dict[str, Any] = field(default_factory=dict)
    trained: list[StudyRun | TransferRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, run: StudyRun | TransferRun, folder: Path) -> Path:
        with self._lock:
            self.trained.append(run)
        config = run.config if isinstance(run, StudyRun) else run.tuning.run
        prints = {
            name: ShardedCorpus.open(self.shards, name, config.data.split).fingerprint
            for name in config.data.corpora
        }
        job = Job(config, lambda: build_model(config.model, run.seed), {})
        write_run(folder, job, Launch(str(self.shards), prints, 1, "none.json", 1))
        about = {"steps": config.steps, "samples": config.steps * config.global_batch}
        weights = job.network().state_dict()
        save_folder(folder / "model", config.model, weights, about)
        _validated(folder, config)
        return folder / "model"

    def stop(self) -> None:
        """Nothing is ever at work for long."""


def _validated(folder: Path, config: RunConfig) -> None:
    error = 0.5 + abs(config.optimiser.lr - 1e-3)
    errors = dict.fromkeys(config.data.corpora, error)
    row = {"kind": "validation", "step": config.steps, "l2re": errors}
    (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
