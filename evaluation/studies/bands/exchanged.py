"""How much of what bands cover is the luck of which trajectories calibrate them.

    python evaluation/studies/bands/exchanged.py moe-fno-nano floor:persistence --shards banded \\
        --output exchanged.json

All trajectories of validation and test together are divided anew, at random: as many as before
calibrate, the others are judged. Every trajectory is forecast once. Beside the divisions drawn
stand the split as it is and the one with its roles exchanged. Stopped, the same command goes on.

Axes: N trajectories of both splits, P points of each, K frames and channels, D divisions, X bins.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.compatible import check_compatible
from evaluation.harness.forecaster import Forecaster, open_forecaster
from evaluation.harness.runner import RunSettings, calibration_scores
from evaluation.tasks.task import Task, load_tasks

Array = NDArray[np.float64]

DIVISIONS, SEED = 1000, 0
SCORES_OF_A_BIN = 16  # of all: factors are the upper ends of bins
BAR = (0.88, 0.92)


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    tasks = [task for task in load_tasks().values() if "bands" in task.groups]
    output = options.output
    rows = json.loads(output.read_text())["rows"] if output.exists() else []
    done = {(row["model"], row["corpus"]) for row in rows}
    for model in options.models:
        forecaster = open_forecaster(model, torch.device("cpu"))
        for task in tasks:
            if (forecaster.facts.name, task.corpus) not in done:
                rows.append(one_row(forecaster, task, options.shards))
                print(json.dumps(rows[-1]), flush=True)
                result = {"divisions": DIVISIONS, "seed": SEED, "bar": BAR, "rows": rows}
                output.write_text(json.dumps(result, indent=1) + "\n")


def one_row(forecaster: Forecaster, task: Task, shards: Path) -> dict[str, Any]:
    """What bands of one task cover, over divisions."""
    assert task.bands is not None
    splits = [scores_of_split(forecaster, task, shards, split) for split in ("validation", "test")]
    known, judged = map(len, splits)
    covered = coverages(np.concatenate(splits), divisions(known, judged), task.bands.level)
    drawn = covered[2:]
    return {
        "model": forecaster.facts.name, "corpus": task.corpus, "trajectories": [known, judged],
        "as_it_is": covered[0], "roles_exchanged": covered[1],
        "mean": drawn.mean(), "deviation": drawn.std(ddof=1),
        "share_above_as_it_is": (drawn > covered[0]).mean(),
        "share_within_bar": ((drawn >= BAR[0]) & (drawn <= BAR[1])).mean(),
    }  # fmt: skip


def scores_of_split(forecaster: Forecaster, task: Task, shards: Path, split: str) -> Array:
    """Scores of all trajectories of a split (N, P, K)."""
    corpus = ShardedCorpus.open(shards, task.corpus, split)
    layout = check_compatible(forecaster, task, corpus)
    scores = calibration_scores(forecaster, task, corpus, layout, RunSettings())
    found: Array = torch.cat(scores).flatten(2).numpy()
    return found


def divisions(known: int, judged: int) -> NDArray[np.bool_]:
    """Which trajectories calibrate (D, N): as it is, with roles exchanged, then drawn."""
    as_it_is = np.arange(known + judged) < known
    rng = np.random.default_rng(SEED)
    return np.stack([as_it_is, ~as_it_is, *(rng.permutation(as_it_is) for _ in range(DIVISIONS))])


def coverages(scores_NPK: Array, known_DN: NDArray[np.bool_], level: float) -> Array:
    """Share of the judged trajectories' points within bands that the others calibrate (D,)."""
    known_weight = known_DN / (known_DN.sum(1, keepdims=True) + 1)
    judged_weight = ~known_DN / (~known_DN).sum(1, keepdims=True)
    found = []
    for below_XN in _shares_below(scores_NPK):
        factor = (known_weight @ below_XN.T >= level - 1e-9).argmax(1)
        found.append((judged_weight @ below_XN.T)[np.arange(len(factor)), factor])
    covered: Array = np.mean(found, axis=0)
    return covered


def _shares_below(scores_NPK: Array) -> Iterator[Array]:
    """Of every frame and channel, the share of each trajectory's points up to a bin (X, N)."""
    for scores_NP in np.moveaxis(scores_NPK, 2, 0):
        there = ~np.isnan(scores_NP)
        order = scores_NP[there].argsort()
        values, owner = scores_NP[there][order], np.nonzero(there)[0][order]
        # Equal scores are of one bin: a factor covers all of them, such as those of still water.
        last_alike = np.searchsorted(values, values, side="right") - 1
        num, bins = len(scores_NP), last_alike // SCORES_OF_A_BIN
        counts = np.bincount(bins * num + owner, minlength=(bins[-1] + 1) * num)
        yield counts.reshape(-1, num).cumsum(0) / there.sum(1)


if __name__ == "__main__":
    main()
