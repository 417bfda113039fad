"""Many forecasters on many tasks: what is to be judged in, a results file out.

What an earlier run has judged already is kept; what is judged now is saved on the
way, so that a run which is stopped loses little and can be taken up.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.calibration import check_calibration
from evaluation.harness.compatible import check_compatible, windows_of
from evaluation.harness.forecaster import Forecaster
from evaluation.harness.ranks import Ranks
from evaluation.harness.resume import Judged, asked_identity, is_whole, renamed
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import Identity, Record, identity, predictions_path
from evaluation.records.results import save_results
from evaluation.tasks.task import Task

Pair = tuple[Forecaster, Task]
# What is being done and how many samples it has in; something to tell of samples done out.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


@contextmanager
def without_progress(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """Shows nothing."""
    yield lambda samples: None


def silent(line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class Evaluation:
    """All that is asked for.

    Attributes:
        output: results file.
        settings: of every run.
        corpora: opened splits by the name of the task.
        pairs: what is judged, in the order of the records.
        known: opened splits that bands are calibrated on, by the name of the task.
    """

    output: Path
    settings: RunSettings
    corpora: Mapping[str, ShardedCorpus]
    pairs: Sequence[Pair]
    known: Mapping[str, ShardedCorpus] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what cannot be judged.

        Raises:
            UserError: see `check_compatible` and `check_calibration`.
        """
        for forecaster, task in self.pairs:
            check_compatible(forecaster, task, self.corpora[task.name])
            check_calibration(task, self.corpora[task.name], self.known.get(task.name))

    def splits_to_read(self, judged: Sequence[Judged]) -> list[ShardedCorpus]:
        """Splits of the pairs that nothing is kept of, each once."""
        kept = self._kept(judged)
        to_do = [task for forecaster, task in self.pairs if self._id(forecaster, task) not in kept]
        read = [self.corpora[task.name] for task in to_do]
        read += [self.known[task.name] for task in to_do if task.name in self.known]
        return list({id(corpus): corpus for corpus in read}.values())

    def run(
        self,
        judged: Sequence[Judged],
        ranks: Ranks,
        watch: Watch = without_progress,
        tell: Callable[[str], None] = silent,
    ) -> list[Record]:
        """Judge what is not kept, saving on the way.

        Args:
            judged: records of the output so far; those that are not asked for now stay in it,
                behind the others.
            ranks: processes that share the work; every one of them calls this.
            watch: shows how far a pair is.
            tell: takes lines for the user.

        Returns:
            The records that were asked for, in the order of the pairs.
        """
        kept = self._kept(judged)
        done: list[Judged] = []
        pause = _Pause()
        try:
            for forecaster, task in self.pairs:
                old = kept.get(self._id(forecaster, task))
                if old is None:
                    done.append(self._judge(forecaster, task, ranks, watch))
                else:
                    done.append(renamed(old, forecaster, task))
                    tell(f"kept: {forecaster.facts.name} {task.name} of {_date(old)}")
                if ranks.is_first and pause.is_over:
                    with pause:
                        self._save(done, judged)
        finally:
            if ranks.is_first and done:
                self._save(done, judged)
        return [record for record, samples in done]

    def _id(self, forecaster: Forecaster, task: Task) -> Identity:
        known = self.known.get(task.name)
        return asked_identity(forecaster, task, self.corpora[task.name], self.settings, known)

    def _kept(self, judged: Sequence[Judged]) -> dict[Identity, Judged]:
        return {
            identity(record): (record, samples)
            for record, samples in judged
            if is_whole(self.output, record, self.settings)
        }

    def _judge(self, forecaster: Forecaster, task: Task, ranks: Ranks, watch: Watch) -> Judged:
        corpus = self.corpora[task.name]
        known = self.known.get(task.name)
        total = len(windows_of(task, corpus, self.settings.limit))
        total += 0 if known is None else known.num_trajectories
        where = predictions_path(self.output, forecaster.facts, task)
        with watch(f"{forecaster.facts.name} {task.name}", total) as advance:
            return run_task(
                forecaster,
                task,
                corpus,
                self.settings,
                advance,
                ranks=ranks,
                predictions=where,
                known=known,
            )

    def _save(self, done: Sequence[Judged], judged: Sequence[Judged]) -> None:
        """What is done, then older records of pairs still to come, then all others."""
        old = {identity(record): (record, samples) for record, samples in judged}
        finished = [self._id(*pair) for pair in self.pairs[: len(done)]]
        coming = [self._id(*pair) for pair in self.pairs[len(done) :]]
        waiting = [old[own] for own in coming if own in old]
        others = [one for own, one in old.items() if own not in {*finished, *coming}]
        save_results(self.output, [*done, *waiting, *others])


def _date(judged: Judged) -> str:
    record, _ = judged
    return record.provenance.date


class _Pause:
    """Time between two saves: long files are saved seldom, so that saving takes a tenth of it."""

    def __init__(self) -> None:
        self._end = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        now = time.monotonic()
        self._end = now + 9 * (now - self._began)
