"""The pre-training loop: an engine and a stream in, checkpoints and metrics out.

The position of a run is two integers, optimiser steps and samples consumed;
learning rate, temperature, noise and data order are functions of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from data_shards.stream.batch import Batch
from data_shards.stream.stream import SampleStream
from foundation.checkpoint.store import CheckpointStore
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.launch import Ranks, peak_memory_bytes
from foundation.parallel.layout import Layout
from foundation.train.best import BestWeights
from foundation.train.config import RunConfig
from foundation.train.losses import Losses, losses_of
from foundation.train.noise import with_noise
from foundation.train.report import Reporter, finite_or_none
from foundation.train.statistics import ExpertUsage, StepTotals, purity_of
from foundation.train.stop import StopRequest

Validate = Callable[[nn.Module], dict[str, float]]


class NonFiniteLossError(RuntimeError):
    """Training met a NaN or infinite loss; the message says where."""


@dataclass
class _Clock:
    """Seconds of steps from `step` on, without validations and checkpoints."""

    step: int
    waited_s: float = 0.0  # for samples
    began_s: float = field(default_factory=time.perf_counter)

    def per_step(self, now: int) -> tuple[float, float]:
        """Seconds of a step, and of waiting in it, over the steps until now."""
        steps = now - self.step
        return (time.perf_counter() - self.began_s) / steps, self.waited_s / steps


@dataclass
class Position:
    """How far a run is: all that moves besides weights and optimiser."""

    step: int = 0
    samples: int = 0


class Trainer:
    """One run on one rank; every rank runs the same loop."""

    def __init__(
        self,
        run: RunConfig,
        ranks: Ranks,
        layout: Layout,
        engine: Any,
        stream: SampleStream,
        store: CheckpointStore,
        validate: Validate | None,
        best: BestWeights | None = None,
    ) -> None:
        self.run, self.ranks, self.layout = run, ranks, layout
        self.engine, self.stream, self.store, self.validate = engine, stream, store, validate
        self.best = best
        self.position = Position()
        self._micro_global = run.global_batch // run.accumulation
        self._corpora = [corpus.name for corpus in stream.corpora]
        self._usage = ExpertUsage(len(self._corpora), ranks.device)
        self._clock = _Clock(0)

    def train(self, reporter: Reporter | None, stop: StopRequest) -> bool:
        """Train to the last step, until it is enough or until asked to stop; saves at the end.

        Args:
            reporter: on the first rank, None elsewhere.
            stop: becomes true when the process is asked to leave.

        Returns:
            Whether there is no more to train.

        Raises:
            NonFiniteLossError: names step, corpora and sample keys; nothing is saved.
        """
        run, saved_at = self.run, self.position.step
        batches = self.stream.batches(
            self.position.samples, self._micro_global, self.ranks.rank, self.ranks.world
        )
        self._clock = _Clock(self.position.step)
        stopped = False
        while not self.finished and not stopped:
            step, batch = self._step(batches, bool(stop))
            stopped = step.stop
            now = self.position.step
            if reporter:
                reporter.advance()
            if now % run.log_every == 0 or now == run.steps:
                self._log(reporter, step, *self._clock.per_step(now))
                self._clock = _Clock(now)
            if now % run.validation.every == 0 or now == run.steps:
                self._validate(reporter)
                self._clock = _Clock(now)
            if now % run.checkpoint.every == 0 or self.finished or stopped:
                self._save(batch)
                saved_at = now
                self._clock = _Clock(now)
        assert saved_at == self.position.step, "every way out of the loop saves"
        return self.finished

    @property
    def finished(self) -> bool:
        """Whether the last step is done, or patience is at its end."""
        step = self.position.step
        return step == self.run.steps or (self.best is not None and self.best.enough(step))

    def _step(self, batches: Any, stop: bool) -> tuple[StepTotals, Batch]:
        """One optimiser step; moves the position. Also gives the last batch."""
        run, device = self.run, self.ranks.device
        self._set_schedules()
        totals = StepTotals(len(self._corpora))
        for _ in range(run.accumulation):
            since = time.perf_counter()
            batch = next(batches).to(device)
            self._clock.waited_s += time.perf_counter() - since
            losses = self._forward(batch)
            totals.add(losses, batch, stop, sum_over_ranks)
            if not totals.finite:
                self._report_non_finite(losses, batch)
            self.engine.backward(losses.total)
            self.engine.step()
            self.position.samples += self._micro_global
        self.position.step += 1
        return totals, batch

    def _forward(self, batch: Batch) -> Losses:
        local = self._micro_global // self.ranks.world
        first = self.position.samples + self.ranks.rank * local
        noisy = with_noise(batch, self.run.loss.noise, self.run.seed, first)
        prediction = self.engine(noisy)
        self._usage.add(prediction.routing, batch.corpus_id)
        return losses_of(prediction, batch, self.run.loss, sum_over_ranks, self.position.step)

    def _set_schedules(self) -> None:
        run, step = self.run, self.position.step
        optimiser = run.optimiser
        settings = {
            "lr": run.schedule.at(step, run.steps, optimiser.lr),
            "betas": optimiser.betas,
            "eps": optimiser.eps,
            "weight_decay": optimiser.weight_decay,
        }
        for group in self.engine.optimizer.param_groups:
            group.update(settings)  # a loaded optimiser holds those of the run that saved it
        self.engine.module.at_step(step)

    def _report_non_finite(self, losses: Losses, batch: Batch) -> None:
        """Stop all ranks before a non-finite loss reaches any weight."""
        values = torch.stack([losses.per_sample, *losses.terms.values()])
        bad = (~torch.isfinite(values)).any(dim=0).nonzero().flatten().tolist()
        own = [batch.keys[i] for i in bad]
        keys: list[Any] = [None] * self.ranks.world
        dist.all_gather_object(keys, own)
        named = [key for rank_keys in keys for key in rank_keys]
        corpora = sorted({key.partition("/")[0] for key in named})
        raise NonFiniteLossError(
            f"step {self.position.step + 1}: the loss is not finite; corpora: "
            f"{', '.join(corpora) or 'none alone (the balance loss)'}; samples: "
            f"{', '.join(named) or '-'}. {self._advice()}"
        )

    def _advice(self) -> str:
        last = self.store.newest()
        return (
            "Nothing was saved; the last good checkpoint is "
            f"{self.store.folder / last[0] if last else 'none yet'}. Lower optimiser.lr or set "
            "clip=1, then --resume"
        )

    def _log(
        self, reporter: Reporter | None, step: StepTotals, seconds: float, waiting: float
    ) -> None:
        usage_LKE, entropy = self._usage.reduce(sum_over_ranks)
        memory = torch.tensor(float(peak_memory_bytes(self.ranks.device)), dtype=torch.float64)
        memory = sum_over_ranks(memory.to(self.ranks.device))
        if reporter is None:
            return
        routed = usage_LKE is not None  # a dense network has nothing to balance
        row = {
            "step": self.position.step,
            "samples": self.position.samples,
            "loss": step.loss,
            "balance": step.balance if routed else None,
            "corpus_loss": step.corpus_means(self._corpora),
            "lr": self.engine.optimizer.param_groups[0]["lr"],
            "grad_norm": finite_or_none(self.engine.get_global_grad_norm()),
            "samples_per_s": self.run.global_batch / seconds,
            "seconds_per_step": seconds,
            "seconds_waiting_per_step": waiting,  # for samples, of the first rank
            "peak_memory_gib": float(memory) / 2**30,  # sum over ranks
            "router_entropy": entropy if routed else None,
            "temperature": self.engine.module.temperature,  # in the step that is logged
            "expert_load": [] if usage_LKE is None else _loads(usage_LKE),
        }
        if usage_LKE is not None and (parted := purity_of(usage_LKE)):
            row["expert_purity"] = parted
        drawn = usage_LKE if self._draws_usage() else None
        if drawn is not None:
            row["expert_usage"] = dict(
                zip(self._corpora, drawn.movedim(1, 0).tolist(), strict=True)
            )
        if not self.run.loss.wants_fields:
            row["corpus_loss_of"] = "terms"
        if terms := step.term_means():
            row["terms"] = {name: finite_or_none(mean) for name, mean in terms.items()}
        reporter.training(row, drawn)

    def _draws_usage(self) -> bool:
        """Pictures come with validation: they take longer than a step."""
        every, step = self.run.validation.every, self.position.step
        return step % every < self.run.log_every or step == self.run.steps

    def _validate(self, reporter: Reporter | None) -> None:
        if self.validate is None:
            return
        l2re = self.validate(self.engine.module)
        if reporter:
            reporter.validation(self.position.step, l2re)
        if self.best is not None:
            self.best.see(self.engine, self.position.step, l2re)

    def _save(self, batch: Batch) -> None:
        """Save, unless the last step broke the weights though its own loss was finite."""
        module = self.engine.module
        finite = torch.stack([torch.isfinite(p).all() for p in module.parameters()]).all()
        module.eval()
        with torch.no_grad():
            finite &= torch.isfinite(module(batch).fields).all()
        module.train()
        if sum_over_ranks((~finite).to(torch.float64)) > 0:
            raise NonFiniteLossError(
                f"step {self.position.step}: the step's gradient broke the weights. "
                f"{self._advice()}"
            )
        self.store.save(self.engine, self.position.step, self.position.samples, self.layout)


def _loads(usage_LKE: Tensor) -> list[list[float]]:
    """Share of each expert in all routes of a block (L, E), corpora weighing alike."""
    seen = (usage_LKE.sum(-1, keepdim=True) > 0).sum(1).clamp(min=1)
    loads: list[list[float]] = (usage_LKE.sum(1) / seen).tolist()
    return loads
