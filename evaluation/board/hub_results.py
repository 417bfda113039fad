"""Records in the Hub's own words: `model-index` of a card, and files below `.eval_results`.

Source: the model card's metadata and the evaluation results of huggingface.co/docs/hub. A
diverged forecast has no number there: it is a word in the one, and left out of the other.
"""

import math
from collections.abc import Sequence
from typing import Any

from evaluation.metrics.names import find_metric
from evaluation.records.record import Record
from evaluation.records.table import metric_title, number

# The nearest of the Hub's tasks: frames of a field in, later frames out.
HUB_TASK = "time-series-forecasting"


def model_index(name: str, records: Sequence[Record], dataset: str | None) -> list[dict[str, Any]]:
    """The `model-index` of a card's front matter.

    Args:
        name: of the model.
        records: all of one model.
        dataset: id on the Hub of the data set with the shards, if they are shared.
    """
    return [{"name": name, "results": [_result(record, dataset) for record in records]}]


def eval_results(records: Sequence[Record], dataset: str) -> dict[str, list[dict[str, Any]]]:
    """Contents of `.eval_results/NAME.yaml` by name, one for each task with a finite headline.

    Args:
        records: all of one model, of different tasks.
        dataset: id on the Hub of the data set with the shards.
    """
    return {
        record.task.name: [
            {
                "dataset": {"id": dataset, "task_id": record.task.name},
                "value": record.headline.value,
                "date": record.provenance.date,
                "notes": _notes(record),
            }
        ]
        for record in records
        if math.isfinite(record.headline.value)
    }


def _result(record: Record, dataset: str | None) -> dict[str, Any]:
    task = record.task
    return {
        "task": {"type": HUB_TASK, "name": task.name},
        "dataset": {
            "type": dataset or task.corpus,
            "name": task.corpus,
            "config": task.corpus,
            "split": task.split,
        },
        "metrics": [
            {
                "type": metric,
                "name": metric_title(metric),
                "value": score.value if math.isfinite(score.value) else "diverged",
            }
            for metric, score in record.scores.items()
        ],
    }


def _notes(record: Record) -> str:
    task, score = record.task, record.headline
    better = "higher" if find_metric(task.headline).higher_is_better else "lower"
    error = f" ± {number(score.standard_error, 2)}" if score.standard_error is not None else ""
    return (
        f"{metric_title(task.headline)}, {better} is better: {task.aggregation} of "
        f"{record.num_samples} samples{error}; {task.rollout_frames} frames rolled out; "
        f"task version {task.version}, {record.task_hash[:10]}"
    )
