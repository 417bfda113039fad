"""Planes of twice as many cells along one axis, made from trajectories at twice the own grid.

    python evaluation/studies/grids/rectangles.py quickstart/run/model --fine fine --work planes \\
        --output rectangles.json

Of fields at 128x128 every second row, or column, or both are left out: the same flow on planes of
64x128, 128x64 and 64x64 cells, as files, converted by `foundation shards convert custom` and judged
by `foundation evaluate`. Corpora with solids, or with noise per cell, are left out.
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
EVERY = {"64x64": (2, 2), "64x128": (2, 1), "128x64": (1, 2)}  # rows, columns


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--fine", type=Path, required=True, help="shards at 128x128, split test")
    parser.add_argument("--work", type=Path, required=True, help="folder for files and shards")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    errors = {
        corpus: {
            plane: judged(options.checkpoint, options.fine, corpus, plane, options.work)
            for plane in EVERY
        }
        for corpus in CORPORA
    }
    options.output.write_text(json.dumps({"l2re": errors}, indent=1) + "\n")


def judged(checkpoint: str, fine: Path, corpus: str, plane: str, work: Path) -> dict[str, float]:
    """L2RE of the rollouts on a plane by how its cells are answered."""
    folder = work / corpus / plane
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    rows, columns = EVERY[plane]
    with tarfile.open(fine / f"{corpus}-test-000000.tar") as shard:
        for member in shard.getmembers():
            if member.name.endswith("fields.npy"):
                stream = shard.extractfile(member)
                assert stream is not None
                fields = np.load(BytesIO(stream.read()), allow_pickle=False)[..., ::rows, ::columns]
                arrays = {f"u{channel}": each for channel, each in enumerate(fields.swapaxes(0, 1))}
                name = member.name.partition(".")[0]
                np.savez(folder / "files" / f"{name}.npz", t=np.arange(len(fields)), **arrays)
    boundary = "edge" if corpus == "pdebench_swe" else "periodic"
    foundation("shards", "convert", "custom", "--raw", folder / "files", "--split", "test",
               "--option", f"boundary={boundary}", "--out", folder / "shards")  # fmt: skip
    found = {}
    for way in ("native", "regrid"):
        output = folder / f"{way}.json"
        foundation("evaluate", checkpoint, "--grid", way, "--shards", folder / "shards", "--tasks",
                   "zero_shot_custom", "--output", output)  # fmt: skip
        (record,) = json.loads(output.read_text())["records"]
        found[way] = float(f"{record['scores']['l2re']['value']:.4g}")
    return found


if __name__ == "__main__":
    main()
