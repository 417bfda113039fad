"""What a run tells: rows in; a progress bar, `metrics.jsonl` and TensorBoard out.

Only the first rank reports. A resumed run drops the lines behind its
checkpoint, so that the file reads as that of one uninterrupted run.
"""

import json
import math
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from data_shards.atomic import replace_file
from foundation.checkpoint.saved import removed

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_SCALARS = (
    *("loss", "balance", "lr", "grad_norm", "samples_per_s", "peak_memory_gib"),
    *("router_entropy", "temperature"),
)


class Reporter:
    """Files of a training folder and lines on the terminal."""

    def __init__(self, folder: Path, corpora: Sequence[str], first_step: int, steps: int) -> None:
        self._corpora = corpora
        self._steps = steps
        self._path = folder / "metrics.jsonl"
        self._lines = _reopened(self._path, first_step)
        self._hook, threading.excepthook = threading.excepthook, _without_the_board
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=first_step, unit="step", disable=not terminal)
        self._plain = not terminal

    def say(self, line: str) -> None:
        """One line that the progress bar does not tear."""
        tqdm.write(line, file=sys.stderr)

    def advance(self) -> None:
        """One more optimiser step done."""
        self._bar.update(1)

    def training(self, row: dict[str, Any], usage_LKE: Tensor | None) -> None:
        """A logged training step; `usage_LKE` are shares by block, corpus, expert."""
        step = row["step"]
        self._write({"kind": "train", **row})
        for name in _SCALARS:
            if row.get(name) is not None:
                self._board.add_scalar(f"train/{name}", row[name], step)
        of = row.get("corpus_loss_of", "l2re")
        for corpus, loss in row["corpus_loss"].items():
            self._board.add_scalar(f"train_{of}/{corpus}", loss, step)
        for term, mean in row.get("terms", {}).items():
            if mean is not None:
                self._board.add_scalar(f"train_terms/{term}", mean, step)
        for block, load in enumerate(row["expert_load"]):
            for expert, share in enumerate(load):
                self._board.add_scalar(f"expert_load/block{block}/expert{expert:02d}", share, step)
        for block, share in enumerate(row.get("expert_purity", ())):
            self._board.add_scalar(f"expert_purity/block{block}", share, step)
        self._progress(row)
        if usage_LKE is not None:
            self._board.add_figure("expert_usage", usage_figure(usage_LKE, self._corpora), step)

    def validation(self, step: int, l2re: dict[str, float]) -> None:
        """Rollout L2RE per corpus."""
        finite = {corpus: finite_or_none(value) for corpus, value in l2re.items()}
        self._write({"kind": "validation", "step": step, "l2re": finite})
        for corpus, value in l2re.items():
            self._board.add_scalar(f"validation_l2re/{corpus}", value, step)
        self.say(f"step {step}: validation L2RE " + _listed(l2re))

    def event(self, step: int, what: str, value: float, line: str) -> None:
        """Something that a person should look at: a line, a row and a point.

        Args:
            step: optimiser steps taken.
            what: one word by which programs know its kind.
            value: how much of it.
            line: the same for people.
        """
        number = finite_or_none(value)
        self._write({"kind": "event", "step": step, "what": what, "value": number, "message": line})
        if number is not None:
            self._board.add_scalar(f"events/{what}", number, step)
        self.say(f"step {step}: {line}")

    def stopped(self, step: int, message: str, diverged: bool) -> None:
        """Why the run stops before its end.

        Args:
            step: the first that is not taken; a resumed run, which starts before it, drops the row.
            message: for people.
            diverged: whether the model is at fault, and not the data.
        """
        row = {"kind": "stop", "step": step, "diverged": diverged, "message": message}
        self._write(row)
        self.say(f"stopped: {message}")

    def close(self) -> None:
        """Flush and close all files."""
        self._bar.close()
        if self._path.exists():  # else its thread would fail, with a trace of its own
            self._board.close()
        self._lines.close()
        threading.excepthook = self._hook

    def _write(self, row: dict[str, Any]) -> None:
        if not self._path.exists():  # its lines would go nowhere, and no error would tell
            raise removed(self._path.parent)
        self._lines.write(json.dumps(row, allow_nan=False) + "\n")
        self._lines.flush()

    def _progress(self, row: dict[str, Any]) -> None:
        text = f"loss {row['loss']:.4g} lr {row['lr']:.2e} {row['samples_per_s']:.3g} samples/s"
        self._bar.set_postfix_str(text)
        if self._plain:
            left = (self._steps - row["step"]) * row["seconds_per_step"]
            self.say(f"step {row['step']}/{self._steps} {text} ETA {_clock(left)}")


def _without_the_board(failed: threading.ExceptHookArgs) -> None:
    """The trace of a thread but TensorBoard's on a bad disk, whose error the next point raises."""
    of_board = type(failed.thread).__module__.startswith("tensorboard.")
    if not (of_board and isinstance(failed.exc_value, OSError)):
        threading.__excepthook__(failed)


def usage_figure(usage_LKE: Tensor, corpora: Sequence[str]) -> Any:
    """Heat maps, one per block: share of each expert in each corpus's routes."""
    blocks, _, experts = usage_LKE.shape
    figure, axes = plt.subplots(
        1,
        blocks,
        figsize=(3 + 2.4 * blocks, 0.4 * len(corpora) + 1.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for block, axis in enumerate(axes[0]):
        image = axis.imshow(
            usage_LKE[block].numpy(),
            vmin=0,
            vmax=float(usage_LKE.max()),
            aspect="auto",
            cmap="viridis",
        )
        axis.set_title(f"block {block}")
        axis.set_xlabel("routed expert")
        axis.set_xticks(range(0, experts, 5))
        axis.set_yticks(range(len(corpora)), corpora)
    figure.colorbar(image, ax=axes[0].tolist(), label="share of routes")
    return figure


def _reopened(path: Path, first_step: int) -> Any:
    kept = []
    if path.exists():
        for line in path.read_text().splitlines():
            row = _parsed(line)
            if row is not None and row["step"] <= first_step:
                kept.append(line + "\n")
    replace_file(path, "".join(kept).encode())
    return path.open("a")


def _parsed(line: str) -> dict[str, Any] | None:
    """A line of the file; None for one that a kill cut short."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "step" in row else None


def _listed(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def finite_or_none(value: Any) -> float | None:
    """A number that JSON can hold."""
    if value is None:
        return None
    number = float(value.item() if isinstance(value, torch.Tensor) else value)
    return number if math.isfinite(number) else None
