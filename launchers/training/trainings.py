"""Trainings of studies and sweeps: a run of either in, its checkpoint folder out.

    with Trainings("shards", jobs=2) as trainer:
        run_study(read_study(Path("study.yaml")), "shards", Path("out"), trainer)

A run of one rank is trained by a worker, which serves many; one of several ranks by DeepSpeed's
launcher, in processes of its own.
"""

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evaluation.study.config import StudyRun
from evaluation.transfer.sweep import TransferRun
from foundation.parallel.layout import read_deepspeed_config
from foundation.train.run_folder import config_path
from launchers.console.arguments import DEFAULT_DEEPSPEED_CONFIG
from launchers.training.process import Processes, module_command, trained
from launchers.training.workers import Workers


class Trainings:
    """Trains runs, several at a time; a context, at whose end the workers go."""

    def __init__(
        self,
        shards: str,
        *,
        jobs: int = 1,
        ranks: int = 1,
        ep_size: int = 1,
        deepspeed_config: Path = DEFAULT_DEEPSPEED_CONFIG,
    ) -> None:
        """Nothing is started yet.

        Args:
            shards: name of what is learnt from.
            jobs: runs at a time.
            ranks: processes of every run.
            ep_size: ranks that share one set of experts, of models that have experts.
            deepspeed_config: JSON file.
        """
        self.jobs = jobs
        self._shards, self._ranks, self._ep_size = shards, ranks, ep_size
        self._deepspeed_config = deepspeed_config
        self._workers, self._processes = Workers(jobs), Processes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.stop()
        self._workers.close()

    @cached_property
    def engine(self) -> dict[str, Any]:
        """Plain values of the DeepSpeed configuration: they decide what a run becomes.

        Raises:
            UserError: it cannot be read.
        """
        return read_deepspeed_config(self._deepspeed_config)

    def __call__(self, run: StudyRun | TransferRun, folder: Path) -> Path:
        """Train in a folder, going on with what lies there; gives the checkpoint folder.

        Raises:
            UserError: what the process says is the user's to fix.
            TrainingFailedError: it ended in another way without a checkpoint.
        """
        module, words = self.command(run, folder)
        share = {"LOCAL_SIZE": str(self.jobs)}  # of the cores, and see `foundation.train.stop`

        def work(log: Path) -> int:
            if self._ranks == 1:
                return self._workers.train(module, words, log, **share)
            command = [*module_command(module, self._ranks), *words]
            return self._processes.run(command, log, **share)

        return trained(folder, run.name, work)

    def stop(self) -> None:
        """Ask all runs at work to save and leave, and begin no other."""
        self._workers.stop()
        self._processes.stop()

    def command(self, run: StudyRun | TransferRun, folder: Path) -> tuple[str, list[str]]:
        """The launcher of a run, and the words of its command line."""
        if isinstance(run, StudyRun):
            module, words, overrides = self._pretraining(run)
        else:
            module, words, overrides = self._finetuning(run)
        resuming = ["--resume"] if config_path(folder).exists() else []
        return module, [
            *words,
            *("--shards", self._shards, "--output", str(folder), "--skip_checksums"),
            *("--deepspeed_config", str(self._deepspeed_config), *resuming),
            *overrides,
        ]

    def _pretraining(self, run: StudyRun) -> tuple[str, list[str], list[str]]:
        spread = min(self._ep_size, self._ranks) if run.config.model.num_routed else 1
        words = ["--preset", run.preset, "--ep_size", str(spread)]
        return "launchers.pretrain", words, list(run.overrides)

    def _finetuning(self, run: TransferRun) -> tuple[str, list[str], list[str]]:
        words = [
            *("--checkpoint", run.terms.checkpoint, "--corpus", run.corpus),
            *("--trajectories", str(run.trajectories), "--recipe", run.terms.recipe),
        ]
        scratch = run.source == "scratch"
        words += ["--from_scratch"] if scratch else ["--router", run.tuning.router]
        tuned = run.tuning.run
        # Where validation decides nothing it is of the end alone: it costs as much as training.
        rarely = [] if tuned.validation_decides else [f"validation.every={tuned.steps}"]
        return "launchers.finetune", words, [*rarely, *run.terms.overrides, f"seed={run.seed}"]
