"""Law: the memory of a conversion does not depend on the size of the file."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from published_files import centres

ROOT = Path(__file__).resolve().parents[3]
MEBIBYTE = 1 << 20
SIZE = 128  # 21 frames of 4 channels: 5.3 MiB in a trajectory

# Run in a process of its own: what pytest and the other tests once took does not count.
CONVERT = """
import sys
from pathlib import Path
from data_shards.catalogue import load_card
from data_shards.formats import blocks
from data_shards.read.convert import convert

name, raw, out, count = sys.argv[1:]
blocks.BLOCK_BYTES = 8 << 20
card = load_card(name)
splits = {"train": (0, int(count))}
published = card.published.model_copy(update={"splits": splits})
card = card.model_copy(update={"published": published})
convert(card, "train", Path(raw), Path(out), shard_bytes=16 << 20, checksums=False)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def write_large_cns(path, count):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name in ("density", "pressure", "Vx", "Vy"):
            data = file.create_dataset(name, (count, 21, SIZE, SIZE), "f4")
            for number in range(count):
                data[number] = rng.random((21, SIZE, SIZE), dtype="f4")
        file["x-coordinate"] = file["y-coordinate"] = centres(0, 1, SIZE)
        file["t-coordinate"] = 0.05 * np.arange(22, dtype="f4")


def write_large_mat73(path, count):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("u", (50, 64, 64, count), "f4")
        for frame in range(50):
            data[frame] = rng.random((64, 64, count), dtype="f4")
        file["t"] = np.arange(1.0, 51.0)[:, None]


def write_large_mat5(path, count):
    """By hand, frame by frame: scipy's writer takes ten times as long."""

    def element(kind, payload):
        tag = np.array([kind, len(payload)], "<u4").tobytes()
        return tag + payload + bytes(-len(payload) % 8)

    def matrix(name, lengths, num_bytes):
        numbers = np.array([7, num_bytes], "<u4").tobytes()
        flags = element(6, np.array([7, 0], "<u4").tobytes())
        head = flags + element(5, np.array(lengths, "<i4").tobytes()) + element(1, name) + numbers
        return np.array([14, len(head) + num_bytes], "<u4").tobytes() + head

    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM")
        file.write(matrix(b"t", (1, 20), 80) + np.arange(1, 21, dtype="<f4").tobytes())
        file.write(matrix(b"u", (count, 64, 64, 20), 20 * 64 * 64 * count * 4))
        for _ in range(20):
            file.write(rng.random((64, 64, count), dtype="f4").tobytes())


def peak_bytes(name, path, out, count):
    command = [sys.executable, "-c", CONVERT, name, str(path), str(out), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write", "counts"),
    [
        ("pdebench_cns_m0.1", write_large_cns, (10, 50)),
        ("fno_ns_1e-3", write_large_mat73, (60, 300)),
        ("fno_ns_1e-5", write_large_mat5, (160, 800)),
    ],
)
def test_the_memory_of_a_conversion_does_not_grow_with_the_file(tmp_path, name, write, counts):
    peaks, sizes = [], []
    for count in counts:
        path = tmp_path / "file"
        write(path, count)
        sizes.append(path.stat().st_size)
        peaks.append(peak_bytes(name, path, tmp_path / f"out{count}", count))
    assert sizes[1] - sizes[0] > 180 * MEBIBYTE
    # Twice the block: what the allocator keeps of it, and the mapped plane of a version 5 file.
    assert abs(peaks[1] - peaks[0]) < 16 * MEBIBYTE
    assert peaks[1] < 512 * MEBIBYTE
