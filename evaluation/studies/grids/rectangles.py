"""Planes of twice as many cells along one axis, made from trajectories at twice the own grid.

    python evaluation/studies/grids/rectangles.py quickstart/run/model --fine fine --work planes \\
        --output rectangles.json

Of fields at 128x128 rows, or columns, or both are halved, so that the same flow is on planes of
64x128, 128x64 and 64x64 cells: vorticity, which stands on points, has every second one left out,
gases and shallow water the means of two cells. The planes become files, these shards by
`foundation shards convert custom`, which `foundation evaluate` judges. Corpora with solids, or with
noise per cell, are left out.
"""

import argparse
import json
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np

from evaluation.studies.strangers.gains import foundation

CORPORA = ("fno_ns_1e-5", "fno_ns_1e-3", "pdebench_cns_m0.1", "pdebench_swe")
EVEN = np.arange(0, 128, 2)
ON_POINTS = CORPORA[:2]
HALVED = {"64x64": (-2, -1), "64x128": (-2,), "128x64": (-1,)}  # rows are the last axis but one


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--fine", type=Path, required=True, help="shards at 128x128, split test")
    parser.add_argument("--work", type=Path, required=True, help="folder for files and shards")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    errors: dict[str, dict[str, dict[str, float]]] = {}
    prints = set()
    for corpus in CORPORA:
        for plane in HALVED:
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
                for axis in HALVED[plane]:
                    first, second = fields.take(EVEN, axis), fields.take(EVEN + 1, axis)
                    fields = first if corpus in ON_POINTS else (first + second) / 2
                arrays = {f"u{channel}": each for channel, each in enumerate(fields.swapaxes(0, 1))}
                name = member.name.partition(".")[0]
                np.savez(folder / "files" / f"{name}.npz", t=np.arange(len(fields)), **arrays)
    boundary = "edge" if corpus == "pdebench_swe" else "periodic"
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


if __name__ == "__main__":
    main()
