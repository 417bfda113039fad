"""`foundation tasks`: what checkpoints can be judged on, from the task files."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_shards.errors import unknown_name
from evaluation.metrics.names import METRICS
from evaluation.records.table import markdown_table
from evaluation.routing.task_file import RoutingTaskFile, load_routing_tasks
from evaluation.tasks.task import Task, group_meanings, group_names, load_tasks
from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation tasks
  foundation tasks --group rollout
  foundation tasks --include my_tasks/ --json | jq -r '.tasks[].name'

Any name goes to `--tasks` or `--task` of the verb that judges it. A task is a YAML file; a folder
of your own comes in by --include.
"""

Listed = Task | RoutingTaskFile


def add_verb(subparsers: Subparsers) -> None:
    """Add `tasks` to the console."""
    parser = add_parser(subparsers, "tasks", SUMMARIES["tasks"], _EXAMPLE)
    parser.add_argument("--group", metavar="G", help="only the tasks of this group")
    parser.add_argument("--metrics", action="store_true", help="list the metrics instead")
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    tasks: list[Listed] = list(load_tasks(options.include).values())
    tasks += load_routing_tasks(options.include).values()
    groups = group_names(tasks)
    if options.group is not None:
        if options.group not in groups:
            raise unknown_name("group", options.group, groups)
        tasks = [task for task in tasks if options.group in task.groups]
        groups = (options.group,)
    meanings = group_meanings(options.include)
    if options.json:
        print(json.dumps(_everything(tasks, groups, meanings), indent=1))
    elif options.metrics:
        print(_metric_table())
    else:
        print(_task_table(tasks))
        print(f"\n{_group_table(tasks, groups, meanings)}")


def _verb(task: Listed) -> str:
    """The verb that judges it."""
    if isinstance(task, RoutingTaskFile):
        return "routing"
    return "transfer" if task.kind == "few_shot" else "evaluate"


def _everything(
    tasks: Sequence[Listed], groups: Sequence[str], meanings: dict[str, str]
) -> dict[str, Any]:
    return {
        "tasks": [
            {**task.model_dump(mode="json"), "hash": task.hash, "judged_by": _verb(task)}
            for task in tasks
        ],
        "groups": {
            group: {
                "description": meanings.get(group, ""),
                "tasks": [task.name for task in tasks if group in task.groups],
            }
            for group in groups
        },
        "metrics": {
            name: {
                "title": metric.title,
                "meaning": metric.meaning,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
            }
            for name, metric in METRICS.items()
        },
    }


def _task_table(tasks: Sequence[Listed]) -> str:
    header = ["Task", "Corpus", "Split", "Headline", "Groups", "Context", "Rollout", "Windows"]
    return markdown_table(header, [_task_row(task) for task in tasks], left=5)


def _task_row(task: Listed) -> list[str]:
    groups = ", ".join(task.groups)
    if isinstance(task, RoutingTaskFile):
        terms = task.terms
        corpora = f"{len(terms.corpora)} and {len(terms.unseen)} unseen"
        return [
            *(task.name, corpora, terms.test_split, "accuracy", groups),
            *("–", "–", str(terms.windows)),
        ]
    free = f" + {task.free_frames}" if task.free_frames else ""
    return [
        *(task.name, task.corpus, task.split, task.headline, groups),
        *(str(task.context_frames), f"{task.rollout_frames}{free}", str(len(task.windows))),
    ]


def _group_table(tasks: Sequence[Listed], groups: Sequence[str], meanings: dict[str, str]) -> str:
    rows = []
    for group in groups:
        members = [task for task in tasks if group in task.groups]
        verbs = ", ".join(sorted({f"foundation {_verb(task)}" for task in members}))
        rows.append([group, meanings.get(group, ""), verbs, str(len(members))])
    return markdown_table(["Group", "What for", "Judged by", "Tasks"], rows, left=3)


def _metric_table() -> str:
    rows = [
        [name, metric.meaning, metric.unit, "↑" if metric.higher_is_better else "↓"]
        for name, metric in METRICS.items()
    ]
    rows.append(["l2re_frame_N", "L2RE of predicted frame N alone (option frames)", "1", "↓"])
    return markdown_table(["Metric", "What it is", "Unit", ""], rows, left=4)
