"""What a training took: its folder and the shards it learnt from in, seconds of cores out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.breakeven.measure import seconds_per_trajectory
from evaluation.breakeven.record import Training
from foundation.train.run_folder import read_run, seconds_of_steps


@dataclass(frozen=True)
class Terms:
    """What seconds are worth.

    Attributes:
        rank_price: of a rank's second, in seconds of a core.
        trials: trainings like it that its settings took.
        trajectories: of each corpus whose simulation is timed.
    """

    rank_price: float = 1.0
    trials: int = 1
    trajectories: int = 1


def training_cost(
    folder: Path, open_split: Callable[[str, Split], ShardedCorpus], terms: Terms
) -> Training:
    """Seconds of a training and of simulating what it learnt from.

    Args:
        folder: of the training.
        open_split: gives the shards of (corpus, split).
        terms: what seconds are worth.

    Raises:
        UserError: no training folder, or one without its steps' seconds.
    """
    launch = read_run(folder).launch
    counts = {
        corpus: int(meaning["count"])
        for corpus, meaning in (launch.get("shards_meaning") or {}).items()
    }
    if not counts:
        raise UserError(f"{folder}: does not say what it learnt from; it is older than that")
    steps, wall = seconds_of_steps(folder)
    if wall is None:
        raise UserError(f"{folder}: does not say how long its steps took; give one that has run")
    data = 0.0
    for corpus, count in counts.items():
        split = open_split(corpus, "train")
        data += count * seconds_per_trajectory(
            split, min(terms.trajectories, split.num_trajectories)
        )
    ranks = int(launch.get("world") or 1)
    return Training(
        run=folder.name,
        steps=steps,
        ranks=ranks,
        seconds=wall * ranks * terms.rank_price,
        trials=terms.trials,
        trajectories=counts,
        data_seconds=data,
    )
