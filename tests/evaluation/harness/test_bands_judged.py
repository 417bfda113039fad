"""Bands from shards to records: an error that is drawn anew for every trajectory is covered."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from data_shards.stream.batch import Batch
from data_shards.trajectory import Trajectory
from evaluation.harness.forecaster import Forecaster, open_forecaster
from evaluation.harness.members import ensemble_of
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import ModelFacts, Record
from evaluation.records.samples import SampleValues
from evaluation.tasks.task import Task, load_tasks

NAME, SIDE, KNOWN, JUDGED = "fno_ns_1e-5", 8, 39, 160
TASK = load_tasks()[f"bands_{NAME}"]


def _drawn(split: str, index: int, size: float) -> Trajectory:
    """A picture that hardly moves; later frames are off by noise of the trajectory's own size."""
    rng = np.random.default_rng([index, split == "test"])
    picture = rng.standard_normal((1, 1, SIDE, SIDE))
    past = picture + 0.1 * rng.standard_normal((10, 1, SIDE, SIDE))
    off = size * rng.exponential() * rng.standard_normal((10, 1, SIDE, SIDE))
    return _trajectory(index, np.concatenate([past, past[-1:] + off]))


def _trajectory(index: int, fields: NDArray[np.float64]) -> Trajectory:
    sides = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
    return Trajectory(fields.astype(np.float32), NAME, index, 0, 1.0, (0.0, 1.0, 0.0, 1.0), sides)


def _write(folder: Path, split: str, count: int, size: float = 0.3) -> ShardedCorpus:
    return _written(folder, split, count, lambda index: _drawn(split, index, size))


def _written(
    folder: Path, split: str, count: int, drawn: Callable[[int], Trajectory]
) -> ShardedCorpus:
    write_corpus(
        lambda first: map(drawn, range(first, count)),
        load_card(NAME),
        split=split,
        out=folder,
        count=count,
        provenance=Provenance(producer="noise", version=1, seed=0),
    )
    return ShardedCorpus.open(folder, NAME, split)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardedCorpus, ShardedCorpus]:
    """What is known, and what is judged."""
    folder = tmp_path_factory.mktemp("bands")
    return _write(folder, "validation", KNOWN), _write(folder, "test", JUDGED)


def _forecaster(forecast: Callable[[Batch, int], Tensor], name: str = "still") -> Forecaster:
    facts = ModelFacts(
        name=name, model_type="test", source=name, fingerprint=name * 9, config_hash=name
    )
    return Forecaster(facts, forecast)


def _still(batch: Batch, steps: int) -> Tensor:
    return batch.given[:, -1:].expand(-1, steps, -1, -1, -1)


def _judged(
    forecaster: Forecaster,
    known: ShardedCorpus | None,
    corpus: ShardedCorpus,
    task: Task = TASK,
    batch_size: int = 16,
) -> tuple[Record, SampleValues]:
    return run_task(forecaster, task, corpus, RunSettings(batch_size=batch_size), known=known)


@pytest.mark.parametrize("members", [1, 4])
def test_bands_hold_what_they_promise_of_trajectories_drawn_alike(
    members: int, splits: tuple[ShardedCorpus, ShardedCorpus]
) -> None:
    forecaster = _forecaster(_still)
    if members > 1:
        forecaster = ensemble_of([forecaster], members, 1.0)
    known, corpus = splits
    record, samples = _judged(forecaster, known, corpus)
    score = record.scores["coverage"]
    assert score.standard_error is not None
    # 39 known trajectories: 36 of 40 ranks, .9; their own luck is as large as that of the test.
    luck = score.standard_error * (1 + JUDGED / KNOWN) ** 0.5
    assert score.value == pytest.approx(0.9, abs=3 * luck)
    assert 0.01 < luck < 0.04
    assert record.calibration is not None
    assert (record.calibration.samples, record.calibration.split) == (KNOWN, "validation")
    assert samples.values["coverage"].std() > 0.05


@pytest.mark.parametrize("drawn", range(3))
def test_bands_hold_as_much_where_errors_have_a_place_in_the_frame(
    drawn: int, tmp_path: Path
) -> None:
    # Every trajectory errs as all others, at every cell otherwise, in a frame of 2304 cells. Then
    # as much is covered as was of the 19 known ones: .9 of 20 ranks.
    rng = np.random.default_rng(drawn)
    picture, off = rng.standard_normal((2, 1, 1, 48, 48))
    fields = np.concatenate([picture + 0 * off] * 10 + [picture + off] * 10)
    known, corpus = (
        _written(tmp_path, split, 19, partial(_trajectory, fields=fields))
        for split in ("validation", "test")
    )
    record, _ = _judged(_forecaster(_still), known, corpus)
    # One draw of 1024 points for all is off by .005, 19 draws by .001: a deviation each.
    assert record.scores["coverage"].value == pytest.approx(0.9 * 20 / 19, abs=0.004)
    few, _ = _judged(_forecaster(_still), known, corpus, batch_size=3)
    assert few.calibration == record.calibration


def test_a_shift_breaks_the_promise_and_shows(
    splits: tuple[ShardedCorpus, ShardedCorpus], tmp_path: Path
) -> None:
    record, _ = _judged(_forecaster(_still), splits[0], _write(tmp_path, "test", 20, size=2.0))
    assert record.scores["coverage"].value < 0.6


def test_neither_batches_nor_ranks_change_a_band(
    splits: tuple[ShardedCorpus, ShardedCorpus],
) -> None:
    known, corpus = splits
    few = TASK.model_copy(update={"keys": "*-00000?"})
    one, samples = _judged(_forecaster(_still), known, corpus, few, batch_size=3)
    other, whole = _judged(_forecaster(_still), known, corpus, few, batch_size=16)
    assert one.calibration == other.calibration
    for name in ("coverage", "crps", "interval_score"):
        np.testing.assert_allclose(samples.values[name], whole.values[name], rtol=1e-5)
    assert one.num_samples == 10


def test_members_repeat_by_seed_whatever_the_batch_and_their_number(checkpoint: Path) -> None:
    model = open_forecaster(str(checkpoint), torch.device("cpu"))
    given = torch.randn(3, 10, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    ones = torch.ones(3, 1, 16, 16)
    batch = Batch(given, given[:, :0], torch.ones(3, 4), ones, torch.zeros(3).long(), ("a",) * 3)
    alone = Batch(*(part[1:2] for part in (given, given[:, :0], torch.ones(3, 4), ones)),
                  torch.zeros(1).long(), ("a",))  # fmt: skip
    four, six = (ensemble_of([model], count, 0.1, seed=5) for count in (4, 6))
    assert four.members is not None
    assert six.members is not None
    found = four.members(batch, 2)
    torch.testing.assert_close(found[0], model.forecast(batch, 2), rtol=0, atol=0)
    torch.testing.assert_close(six.members(batch, 2)[:4], found, rtol=0, atol=0)
    # A batch of one is summed in another order.
    torch.testing.assert_close(four.members(alone, 2)[:, 0], found[:, 1], rtol=1e-4, atol=1e-5)
    other = ensemble_of([model], 4, 0.1, seed=6)
    assert other.members is not None
    assert (other.members(batch, 2)[1] - found[1]).abs().max() > 1e-4
    assert len({four.facts.fingerprint, six.facts.fingerprint, other.facts.fingerprint}) == 3


def test_checkpoints_take_turns(checkpoint: Path) -> None:
    one = _forecaster(lambda batch, steps: 0 * _still(batch, steps) + 1, "one")
    two = _forecaster(lambda batch, steps: 0 * _still(batch, steps) + 2, "two")
    ensemble = ensemble_of([one, two], 5, 0.1)
    given = torch.zeros(1, 10, 1, 4, 4)
    batch = Batch(given, given, torch.ones(1, 1), torch.ones(1, 1, 4, 4), torch.zeros(1), ("a",))
    assert ensemble.members is not None
    assert ensemble.members(batch, 1).flatten(1)[:, 0].tolist() == [1, 2, 1, 2, 1]
    assert ensemble.forecast(batch, 1).mean().item() == pytest.approx(1.4)
    assert ensemble.facts.name == "one+two x5"


@pytest.mark.parametrize(
    ("count", "noise", "message"),
    [(1, 0.1, "ask for 2"), (4, 0.0, "noise alone"), (2, 0.1, "no members")],
)
def test_ensembles_that_are_none_are_refused(
    count: int, noise: float, message: str, checkpoint: Path
) -> None:
    target = "floor:persistence" if message == "no members" else str(checkpoint)
    forecaster = open_forecaster(target, torch.device("cpu"))
    with pytest.raises(UserError, match=message):
        ensemble_of([forecaster], count, noise)


def test_bands_without_trajectories_to_calibrate_on_are_refused(
    splits: tuple[ShardedCorpus, ShardedCorpus], tmp_path: Path
) -> None:
    faults: Sequence[tuple[ShardedCorpus | None, str]] = (
        (None, "foundation shards generate fno_ns_1e-5 --split validation"),
        (_write(tmp_path, "validation", 4), "--trajectories 64"),
    )
    for known, message in faults:
        with pytest.raises(UserError, match=message):
            _judged(_forecaster(_still), known, splits[1])
