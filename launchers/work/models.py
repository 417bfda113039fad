"""What `foundation models` does: read configurations, count parameters, print tables."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from evaluation.records.table import markdown_table, parameters
from foundation.checkpoint.bundled import bundled
from foundation.checkpoint.found import Found, checkpoints_below, look_at
from foundation.models.registry import ModelConfig, outline_model
from foundation.published.sources import PUBLISHED_WEIGHTS
from foundation.train.config import load_run_config

_CORPORA = 2  # named in a row


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    own = {name: look_at(folder) for name, folder in bundled().items()}
    here = {
        str(found.folder): found
        for folder in options.folders
        for found in checkpoints_below(folder)
        if found.folder.resolve() not in {each.folder.resolve() for each in own.values()}
    }
    if options.json:
        print(json.dumps(_plain(own, here), indent=1))
        return
    print("In the package:\n")
    print(_table(own))
    print("\nIn " + ", ".join(str(folder.resolve()) for folder in options.folders) + ":\n")
    print(_table(here) if here else "none; a training leaves one in its RUN/model")
    print("\nPublished, to be imported (foundation import-reference FILE.pth CHECKPOINT):\n")
    print(_published_table())


def _table(models: dict[str, Found]) -> str:
    header = ("CHECKPOINT", "architecture", "parameters", "grid", "takes", "was trained on")
    return markdown_table(header, [_row(name, found) for name, found in models.items()], left=6)


def _row(name: str, found: Found) -> Sequence[str]:
    config = found.config
    if config is None:
        return (name, "not readable: " + found.fault, "", "", "", "")
    return (
        name,
        config.model_type,
        parameters(_count(config)),
        " x ".join(map(str, config.grid)),
        _taken(config),
        _training(found.about),
    )


def _count(config: ModelConfig) -> int:
    return outline_model(config).parameter_counts().total


def _taken(config: ModelConfig) -> str:
    if slots := config.layout.slots:
        return ", ".join(slots)
    frames = f"{config.context_frames} frame{'s' * (config.context_frames > 1)}"
    return f"{frames} of up to {config.channels} channels"


def _training(about: dict[str, Any]) -> str:
    corpora = list(about.get("corpora") or ())
    if not corpora:
        return "see its card" if "imported" not in about else "by its authors"
    more = len(corpora) - _CORPORA
    named = ", ".join(corpora[:_CORPORA]) + (f" and {more} more" if more > 0 else "")
    steps = about.get("steps")
    return named if steps is None else f"{named}, {steps} steps"


def _published_table() -> str:
    rows = []
    for each in PUBLISHED_WEIGHTS:
        size = parameters(_count(load_run_config(each.preset, []).model))
        rows.append((each.name, size, each.paper, each.page))
    return markdown_table(("weights", "parameters", "paper", "linked from"), rows, left=4)


def _plain(own: dict[str, Found], here: dict[str, Found]) -> dict[str, Any]:
    def of(models: dict[str, Found]) -> list[dict[str, Any]]:
        return [
            {
                "checkpoint": name,
                "folder": str(found.folder.resolve()),
                "model": found.config and found.config.canonical(),
                "about": found.about,
                "fault": found.fault or None,
            }
            for name, found in models.items()
        ]

    published = [vars(each) for each in PUBLISHED_WEIGHTS]
    return {"package": of(own), "here": of(here), "published": published}
