"""The pre-training loop: an engine and a stream in, checkpoints and metrics out.

The position of a run is two integers, optimiser steps and samples consumed;
learning rate, temperature, noise and data order are functions of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
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
from foundation.train.faulty import fault_of, faulty, without_faulty
from foundation.train.feed import Feed
from foundation.train.health import Finding, Health
from foundation.train.left_out import LeftOut
from foundation.train.losses import Losses, losses_of
from foundation.train.noise import with_noise
from foundation.train.report import Reporter, finite_or_none
from foundation.train.statistics import ExpertUsage, StepTotals, purity_of
from foundation.train.stop import StopRequest

Validate = Callable[[nn.Module], dict[str, float]]


class NonFiniteLossError(RuntimeError):
    """Training met a NaN or infinite loss; the message says where."""


class DivergedError(NonFiniteLossError):
    """The model is at fault, not the data: what a lower rate may help against."""


@dataclass
class _Clock:
    """Seconds of steps from `step` on, without validations and checkpoints."""

    step: int
    waited_s: float = 0.0  # for samples
    began_s: float = field(default_factory=time.perf_counter)
    processor_began_s: float = field(default_factory=time.process_time)

    def per_step(self, now: int) -> dict[str, float]:
        """What is logged of a step's time, over the steps until now; of this rank."""
        steps = now - self.step
        return {
            "seconds_per_step": (time.perf_counter() - self.began_s) / steps,
            "processor_seconds_per_step": (time.process_time() - self.processor_began_s) / steps,
            "seconds_waiting_per_step": self.waited_s / steps,
        }


@dataclass(frozen=True)
class _Seen:
    """What is kept of a forward until its step is done.

    Attributes:
        first: number of its first sample in the stream.
        keys: of its samples (B).
        per_sample: their errors (B,).
        terms: of the network, by name (B,).
    """

    first: int
    keys: tuple[str, ...]
    per_sample: Tensor
    terms: dict[str, Tensor]

    def not_finite(self) -> list[str]:
        """Keys of samples whose loss or one of whose terms is not finite."""
        values = torch.stack([self.per_sample, *self.terms.values()])
        bad: list[int] = (~torch.isfinite(values)).any(dim=0).nonzero().flatten().tolist()
        return [self.keys[row] for row in bad]


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
        self.at: Callable[[str], None] = lambda where: None  # is told how far this rank is
        self._micro_global = run.global_batch // run.accumulation
        self._corpora = [corpus.name for corpus in stream.corpora]
        self._usage = ExpertUsage(len(self._corpora), ranks.device)
        self._clock = _Clock(0)
        self._health = Health(run.health)
        self._left_out = LeftOut(run.max_skipped)

    def train(self, reporter: Reporter | None, stop: StopRequest) -> bool:
        """Train to the last step, until it is enough or until asked to stop; saves at the end.

        Args:
            reporter: on the first rank, None elsewhere.
            stop: becomes true when the process is asked to leave.

        Returns:
            Whether there is no more to train.

        Raises:
            NonFiniteLossError: names step, corpora and sample keys; nothing is saved. A
                `DivergedError` if the model is at fault, a loss that leaps among them.
        """
        run, saved_at = self.run, self.position.step
        batches = self.stream.batches(
            self.position.samples, self._micro_global, self.ranks.rank, self.ranks.world
        )
        if self.position.step == 0 and run.early_stopping is not None:
            self._validate(reporter)  # what is to be bettered, and kept if it is not
        self._clock = _Clock(self.position.step)
        feed = Feed(lambda: self._fetch(batches, reporter), self.ranks.device)
        stopped = False
        while not self.finished and not stopped:
            step, batch = self._step(feed, bool(stop), reporter)
            stopped = step.stop
            now = self.position.step
            if reporter:
                reporter.advance()
            self._watch_loss(reporter, step.loss)
            if now % run.log_every == 0 or now == run.steps:
                self._log(reporter, step, self._clock.per_step(now))
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

    def _step(self, feed: Feed, stop: bool, reporter: Reporter | None) -> tuple[StepTotals, Batch]:
        """One optimiser step; moves the position. Also gives the last batch."""
        run = self.run
        self._set_schedules()
        totals = StepTotals(len(self._corpora))
        before = self.engine.skipped_steps
        seen: list[_Seen] = []
        for left in reversed(range(run.accumulation)):
            batch = feed.next()
            losses = self._forward(batch)
            totals.add(losses, batch, stop, sum_over_ranks)
            seen.append(_Seen(self._first_sample, batch.keys, losses.per_sample, losses.terms))
            self.engine.backward(losses.total)
            self.position.samples += self._micro_global
            if left == 0:
                totals.begin_reading()
            if left or self.position.step + 1 < run.steps:
                feed.look_ahead()
            self.engine.step()  # waits for the norm of the gradient, and so for the totals
        # By now the weights may be broken, but nothing of them has been saved.
        if not totals.finite:
            self._report_non_finite(seen)
        self.position.step += 1
        if self.engine.skipped_steps > before:
            self._count_without_update(reporter)
        return totals, batch

    @property
    def _first_sample(self) -> int:
        """Number in the stream of this rank's first sample of the next forward."""
        return self.position.samples + self.ranks.rank * (self._micro_global // self.ranks.world)

    def _fetch(self, batches: Iterator[Batch], reporter: Reporter | None) -> Batch:
        """This rank's next samples, without faulty ones if these are left out."""
        since = time.perf_counter()
        self.at(f"waits for samples of step {self.position.step + 1}")
        batch = next(batches)
        if self.run.on_non_finite == "skip":
            batch, faults = without_faulty(batch, self.stream, self._first_sample)
            self._count_skipped(faults, reporter)
        self._clock.waited_s += time.perf_counter() - since
        return batch

    def _count_skipped(self, own: list[str], reporter: Reporter | None) -> None:
        """Report the samples that all ranks have left out of a forward; collective."""
        if self.ranks.world == 1 and not own:
            return
        number = torch.tensor(float(len(own)), dtype=torch.float64, device=self.ranks.device)
        if sum_over_ranks(number) == 0:
            return
        faults, step = self._of_all_ranks(own), self.position.step + 1
        finding = self._left_out.add_samples(faults)
        if reporter:
            reporter.event(step, *finding)
        if line := self._left_out.too_many_samples:
            raise NonFiniteLossError(
                f"step {step}: {line}; the last: {', '.join(faults)}. {self._last_good()}. "
                "Mend the shards, then --resume --accept-shards"
            )

    def _count_without_update(self, reporter: Reporter | None) -> None:
        """Report a step whose gradient DeepSpeed has thrown away."""
        finding = self._left_out.add_update()
        if reporter:
            self._tell(reporter, [finding])
        if line := self._left_out.too_many_updates:
            raise DivergedError(f"step {self.position.step}: {line}. {self._advice()}")

    def _of_all_ranks(self, own: list[str]) -> list[str]:
        gathered: list[Any] = [None] * self.ranks.world
        dist.all_gather_object(gathered, own)
        return [each for of_rank in gathered for each in of_rank]

    def _forward(self, batch: Batch) -> Losses:
        first = self._first_sample
        self.at(f"computes step {self.position.step + 1}")
        loss = self.run.loss
        noisy = with_noise(batch, loss.noise, self.run.seed, first, loss.noise_on)
        prediction = self.engine(noisy)
        self._usage.add(prediction.routing, batch.corpus_id)
        return losses_of(prediction, batch, self.run.loss, sum_over_ranks, self.position.step)

    def _set_schedules(self) -> None:
        run, step = self.run, self.position.step
        optimiser = run.optimiser
        settings = {
            "lr": run.schedule.at(step, run.steps, optimiser.lr),
            "betas": (
                run.schedule.beta_at(step, run.steps, optimiser.betas[0]),
                optimiser.betas[1],
            ),
            "eps": optimiser.eps,
            "weight_decay": optimiser.weight_decay,
        }
        for group in self.engine.optimizer.param_groups:
            group.update(settings)  # a loaded optimiser holds those of the run that saved it
        self.engine.module.at_step(step)

    def _report_non_finite(self, seen: Sequence[_Seen]) -> None:
        """Stop all ranks before a non-finite loss reaches any checkpoint."""
        named = self._of_all_ranks([key for each in seen for key in each.not_finite()])
        faults = self._of_all_ranks([fault for each in seen for fault in self._faults(each)])
        step = self.position.step + 1
        if faults:
            raise NonFiniteLossError(
                f"step {step}: the data are at fault, not the model: {', '.join(faults)}. "
                f"{self._last_good()}. Mend the shards, then --resume --accept-shards; or leave "
                "such samples out: --resume on_non_finite=skip"
            )
        corpora = sorted({key.partition("/")[0] for key in named})
        raise DivergedError(
            f"step {step}: the loss is not finite, all data are: the model diverged; corpora: "
            f"{', '.join(corpora) or 'none alone (the balance loss)'}; samples: "
            f"{', '.join(named) or '-'}. {self._advice()}"
        )

    def _faults(self, seen: _Seen) -> list[str]:
        """Of a forward's data, read again."""
        if self.run.on_non_finite == "skip":  # they were left out
            return []
        batch = self.stream.decode(seen.first, len(seen.keys))
        return [fault_of(batch, row) for row in faulty(batch)]

    def _advice(self) -> str:
        return f"{self._last_good()}. Lower optimiser.lr or set clip=1, then --resume"

    def _last_good(self) -> str:
        last = self.store.newest()
        where = self.store.folder / last[0] if last else "none yet"
        return f"Nothing was saved; the last good checkpoint is {where}"

    def _log(self, reporter: Reporter | None, step: StepTotals, took: dict[str, float]) -> None:
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
            "samples_per_s": self.run.global_batch / took["seconds_per_step"],
            **took,  # of the first rank
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
        if self.run.loss.objective == "relative_l2":
            self._tell(reporter, self._health.of_corpora(row["corpus_loss"]))
        mixture = self.run.model.mixture
        if mixture and mixture.router.by == "gate" and self.run.loss.balance_weight:
            # Else the balance of experts is nobody's wish.
            seen = self.run.log_every * self.run.global_batch
            loads = row["expert_load"]  # of one gate for all blocks, once
            told = loads[:1] if mixture.router.decides_first else loads
            self._tell(reporter, self._health.of_experts(told, seen))

    def _watch_loss(self, reporter: Reporter | None, loss: float) -> None:
        """Report a loss that leaps, or stop all ranks before it is saved; then collective."""
        findings = self._health.of_loss(loss)
        if reporter:
            self._tell(reporter, findings)
        if self.run.health.on_spike == "tell":
            return
        spiked = torch.tensor(float(bool(findings)), dtype=torch.float64, device=self.ranks.device)
        if sum_over_ranks(spiked) > 0:
            what = findings[0].line if findings else "another rank's loss leapt"
            raise DivergedError(f"step {self.position.step}: {what}. {self._advice()}")

    def _tell(self, reporter: Reporter, findings: list[Finding]) -> None:
        for finding in findings:
            reporter.event(self.position.step, *finding)

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
        self.at(f"saves step {self.position.step}")
        module = self.engine.module
        finite = torch.stack([torch.isfinite(p).all() for p in module.parameters()]).all()
        module.eval()
        with torch.no_grad():
            finite &= torch.isfinite(module(batch).fields).all()
        module.train()
        if sum_over_ranks((~finite).to(torch.float64)) > 0:
            raise DivergedError(
                f"step {self.position.step}: the step's gradient broke the weights. "
                f"{self._advice()}"
            )
        self.store.save(self.engine, self.position.step, self.position.samples, self.layout)


def _loads(usage_LKE: Tensor) -> list[list[float]]:
    """Share of each expert in all routes of a block (L, E), corpora weighing alike."""
    seen = (usage_LKE.sum(-1, keepdim=True) > 0).sum(1).clamp(min=1)
    loads: list[list[float]] = (usage_LKE.sum(1) / seen).tolist()
    return loads
