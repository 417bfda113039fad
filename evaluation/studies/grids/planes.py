"""The same flow on planes of more cells along one axis or both, made from trajectories at N x N.

    python evaluation/studies/grids/planes.py quickstart/run/model --fine fine --work planes \\
        --output planes.json

Of fields at N x N rows, or columns, or both come down to the own grid's 64: of vorticity, which
stands on points, every (N / 64)th is left; all others are the means of N / 64 cells. The planes
become files, these shards by `foundation shards convert custom`, which `foundation evaluate`
judges. The corpus with solids is left out.
"""

import argparse
import json
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.studies.strangers.gains import foundation

CORPORA = ("fno_ns_1e-5", "fno_ns_1e-3", "pdebench_cns_m0.1", "pdebench_swe", "pdebench_dr")
ON_POINTS = CORPORA[:2]
PERIODIC = CORPORA[:3]
OWN = 64  # cells a side
# Axes that come down to the own grid's cells; rows are the last but one.
COARSER = {"own": (-2, -1), "wider": (-2,), "higher": (-1,), "finer": ()}


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--fine", type=Path, required=True, help="shards at N x N, split test")
    parser.add_argument("--work", type=Path, required=True, help="folder for files and shards")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    errors: dict[str, dict[str, dict[str, float]]] = {}
    prints = set()
    for corpus in CORPORA:
        for plane in COARSER:
            found, print_of_it = judged(options, corpus, plane)
            errors.setdefault(corpus, {})[plane] = found
            prints.add(print_of_it)
    (fingerprint,) = prints
    result = {"checkpoint": Path(options.checkpoint).name, "fingerprint": fingerprint[:16]}
    options.output.write_text(json.dumps({**result, "l2re": errors}, indent=1) + "\n")


def judged(options: argparse.Namespace, corpus: str, plane: str) -> tuple[dict[str, float], str]:
    """L2RE of the rollouts on a plane by how its cells are answered, and what the model is."""
    folder = options.work / corpus / plane
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    with tarfile.open(options.fine / f"{corpus}-test-000000.tar") as shard:
        for member in shard.getmembers():
            if member.name.endswith("fields.npy"):
                stream = shard.extractfile(member)
                assert stream is not None
                fields = np.load(BytesIO(stream.read()), allow_pickle=False)
                for axis in COARSER[plane]:
                    fields = coarser(fields, axis, corpus in ON_POINTS)
                arrays = {f"u{channel}": each for channel, each in enumerate(fields.swapaxes(0, 1))}
                name = member.name.partition(".")[0]
                np.savez(folder / "files" / f"{name}.npz", t=np.arange(len(fields)), **arrays)
    boundary = "periodic" if corpus in PERIODIC else "edge"
    foundation("shards", "convert", "custom", "--raw", folder / "files", "--split", "test",
               "--option", f"boundary={boundary}", "--out", folder / "shards")  # fmt: skip
    found = {}
    for way in ("native", "regrid"):
        output = folder / f"{way}.json"
        foundation("evaluate", options.checkpoint, "--grid", way, "--shards", folder / "shards",
                   "--tasks", "zero_shot_custom", "--output", output)  # fmt: skip
        (record,) = json.loads(output.read_text())["records"]
        found[way] = float(f"{record['scores']['l2re']['value']:.4g}")
    return found, record["model"]["fingerprint"]


def coarser(fields: NDArray[np.floating], axis: int, on_points: bool) -> NDArray[np.floating]:
    """Fields of the own grid's cells along an axis that is counted from the last."""
    by_cell = np.moveaxis(fields, axis, -1)
    by_cell = by_cell.reshape(*by_cell.shape[:-1], OWN, -1)
    left = by_cell[..., 0] if on_points else by_cell.mean(-1)
    return np.moveaxis(left, -1, axis)


if __name__ == "__main__":
    main()
