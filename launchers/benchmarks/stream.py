"""Samples per second of the stream, against whole trajectories from HDF5."""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_shards.atomic import replace_file
from data_shards.memory import keep_freed_memory
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.stream.layout import square
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig
from launchers.benchmarks.provenance import provenance
from launchers.benchmarks.timing import in_turns
from launchers.benchmarks.whole_trajectories import read_whole, unpack

CHANNELS = 4
CONTEXT = 10


def bench_stream(options: argparse.Namespace) -> None:
    """Samples per second of one core, per corpus and for the balanced mixture."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as the stream's workers do; both ways gain by it
    names = options.corpus or [
        entry.corpus
        for entry in read_manifest(options.shards).entries
        if entry.split == options.split
    ]
    corpora = [ShardedCorpus.open(options.shards, name, options.split) for name in names]
    results = [_compare([corpus], options) for corpus in corpora]
    if len(corpora) > 1:
        results.append(_compare(corpora, options))
    record = {
        **provenance(torch.device("cpu")),
        "window": f"{CONTEXT} + 1 frames of {CHANNELS} x {options.resolution}^2, one core",
        "results": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    replace_file(options.output, f"{json.dumps(record, indent=1)}\n".encode())
    for result in results:
        print(
            f"{result['corpus']:<24} stream {result['stream']:8.0f} samples/s   "
            f"whole trajectories {result['whole']:8.1f} samples/s   {result['ratio']:6.1f} times"
        )


def _compare(corpora: Sequence[ShardedCorpus], options: argparse.Namespace) -> dict[str, Any]:
    """Both ways to the same samples, in alternating rounds."""
    config = StreamConfig(
        mixture=MixtureConfig(seed=0), context_frames=CONTEXT, target_frames=1, workers=0
    )
    layout = square(options.resolution, CHANNELS)
    stream = SampleStream(corpora, config, layout)
    batch = 8
    numbers = range(0, options.samples, batch)
    with tempfile.TemporaryDirectory() as folder:
        paths = [unpack(c, range(c.num_trajectories), Path(folder)) for c in corpora]

        def by_stream() -> None:
            for first in numbers:
                stream.decode(first, batch)

        def by_whole() -> None:
            for first in numbers:
                for number in range(first, first + batch):
                    sample = stream.plan.sample(number)
                    path = paths[sample.corpus][sample.trajectory]
                    read_whole(path, sample.start, CONTEXT + 1, layout.resolution, CHANNELS)

        ways = {"stream": by_stream, "whole": by_whole}
        rounds = in_turns(ways, options.rounds).values()
    rates = [[len(numbers) * batch / seconds for seconds in way] for way in rounds]
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    return {
        "float16_rounding": {corpus.name: _rounding(corpus) for corpus in corpora},
        "corpus": corpora[0].name if len(corpora) == 1 else f"balanced mixture of {len(corpora)}",
        "grids": sorted({"x".join(map(str, corpus.entry.grid)) for corpus in corpora}),
        "stream": round(statistics.median(rates[0]), 1),
        "whole": round(statistics.median(rates[1]), 2),
        "ratio": round(statistics.median(ratios), 2),
        "rounds_stream": [round(rate, 1) for rate in rates[0]],
        "rounds_whole": [round(rate, 2) for rate in rates[1]],
    }


def _rounding(corpus: ShardedCorpus) -> float:
    """Relative L2 error that float16 storage would make, all channels and trajectories."""
    error = norm = 0.0
    for number in range(corpus.num_trajectories):
        frames = corpus.window(number, 0, corpus.frames).astype(np.float64)
        error += float(((frames.astype(np.float16) - frames) ** 2).sum())
        norm += float((frames**2).sum())
    return float(f"{(error / norm) ** 0.5:.2e}")
