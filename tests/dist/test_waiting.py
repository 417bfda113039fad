"""A run tells how long it waits for samples, and how long it computes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from group import on_ranks
from runs import pretrain, rows

from data_shards.stream.stream import SampleStream

pytestmark = pytest.mark.dist

NAP_S = 0.05


def with_a_slow_stream(shards: Path, output: Path) -> int:
    batches = SampleStream.batches

    def slow(*arguments: Any) -> Iterator[Any]:
        for batch in batches(*arguments):
            time.sleep(NAP_S)
            yield batch

    SampleStream.batches = slow  # type: ignore[assignment,method-assign]
    settings = ("steps=6", "accumulation=2", "log_every=2", "validation.every=3")
    return pretrain(shards, output, extra=settings)


def test_waiting_per_step_is_that_for_all_of_its_batches(waves, tmp_path):
    assert on_ranks(1, with_a_slow_stream, waves, tmp_path / "run") == [0]
    seen = rows(tmp_path / "run")
    assert [row["step"] for row in seen] == [2, 4, 6]  # a validation falls into the second
    for row in seen:
        assert 2 * NAP_S <= row["seconds_waiting_per_step"] < row["seconds_per_step"]
        computing = row["seconds_per_step"] - row["seconds_waiting_per_step"]
        # A processor's clock does not run while a stream sleeps; one thread computes here.
        assert 0 < row["processor_seconds_per_step"] < computing + NAP_S
