"""What few trajectories of a stranger are worth, from a checkpoint and from scratch.

    python evaluation/studies/strangers/gains.py CHECKPOINT --work gains0 --output gains0.json

Of every equation of `simulations.py`, which no corpus holds, runs from other random starts become
files, files become shards by `foundation shards convert custom`, and `foundation transfer` learns
from 2 and 16 of them, the same steps from the checkpoint and from scratch. All are judged on 8 runs
that nothing was learnt from, beside the checkpoint as it is and repeating the last frame. Each step
is the console's own, on one core; stopped, the same command goes on. Another checkpoint, another
folder.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.studies.strangers.simulations import SIMULATIONS

CELLS, FRAMES, SIZES, TESTS = 64, 20, (2, 16), 8
STEPS, BATCH, RATE = 150, 8, 3e-3


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--work", type=Path, required=True, help="folder for files and shards")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    rows = [learnt(options.checkpoint, name, options.work) for name in SIMULATIONS]
    (fingerprint,) = {row.pop("fingerprint") for row in rows}
    result = {
        "checkpoint": Path(options.checkpoint).name, "fingerprint": fingerprint[:16],
        "steps": STEPS, "global_batch": BATCH, "rate": RATE, "frames_predicted": FRAMES - 10,
        "test_trajectories": TESTS, "simulations": rows,
    }  # fmt: skip
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(as_table(rows))


def learnt(checkpoint: str, name: str, work: Path) -> dict[str, Any]:
    """Errors of a stranger by number of trajectories."""
    folder = work / name.replace(" ", "_")
    shards = folder / "shards"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_shards(name, folder, shards)
        (folder / "whole").touch()
    judged, curves = folder / "as_it_is.json", folder / "transfer"
    foundation("evaluate", checkpoint, "floor:persistence", "--shards", shards, "--tasks",
               "zero_shot_custom", "--output", judged)  # fmt: skip
    foundation("transfer", checkpoint, "--corpus", "custom", "--shards", shards, "--seeds", "1",
               "--sizes", ",".join(map(str, SIZES)), "--recipe", "finetune", "--steps", STEPS,
               "--output", curves, f"global_batch={BATCH}", f"optimiser.lr={RATE}")  # fmt: skip
    own, floor = json.loads(judged.read_text())["records"]
    found = json.loads((curves / "transfer.json").read_text())["curves"]

    def errors(source: str) -> dict[str, float]:
        return {str(point["trajectories"]): three(float(point["error"])) for point in found[source]}

    return {
        "simulation": name,
        "fingerprint": own["model"]["fingerprint"],
        "repeating": three(floor["scores"]["l2re"]["value"]),
        "as_it_is": three(own["scores"]["l2re"]["value"]),
        "fine_tuned": errors("pretrained"),
        "from_scratch": errors("scratch"),
    }


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """For the README: errors by number of trajectories."""
    sizes = ", ".join(map(str, SIZES))
    lines = [
        f"| | repeating | as it is | fine-tuned on {sizes} | from scratch on {sizes} |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        curves = [
            ", ".join(f"{e:g}" for e in row[k].values()) for k in ("fine_tuned", "from_scratch")
        ]
        cells = [row["simulation"], f"{row['repeating']:g}", f"{row['as_it_is']:g}", *curves]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_shards(name: str, folder: Path, shards: Path) -> None:
    """Runs to learn from, and others to be judged on, in files and from there in shards."""
    counts = {"train": range(1, max(SIZES) + 1), "test": range(100, 100 + TESTS)}
    for split, runs in counts.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for run in runs:
            equation = SIMULATIONS[name](CELLS, run)
            fields = equation.frames(FRAMES).swapaxes(0, 1)
            times = equation.frame * np.arange(FRAMES)
            arrays = {f"u{channel}": each for channel, each in enumerate(fields)}
            np.savez(folder / split / f"run_{run:03d}.npz", t=times, **arrays)
        foundation("shards", "convert", "custom", "--raw", folder / split, "--split", split,
                   "--option", "boundary=periodic", "--out", shards)  # fmt: skip


def foundation(*words: Any) -> None:
    """A command of the console, on one core without a GPU."""
    command = [sys.executable, "-m", "launchers.cli", *map(str, words)]
    quiet = {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    subprocess.run(command, check=True, env=os.environ | quiet)


def three(value: float) -> float:
    """Three significant digits."""
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
