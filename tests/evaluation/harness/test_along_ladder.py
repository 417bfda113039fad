"""A rung that is a range: its record tells the headline along the parameter, from shards on."""

from pathlib import Path

import pytest

from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.rescore import Rescoring, rescore
from evaluation.records.record import samples_path
from evaluation.records.results import read_results
from evaluation.records.samples import read_samples
from launchers.cli import main


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of an answer of zeros at omega 11 to 15; shards and samples beside them."""
    folder = tmp_path_factory.mktemp("ladder")
    generate = ["shards", "generate", "helmholtz_omega_13", "--profile", "small"]
    few = ["--split", "test", "--trajectories", "12", "--resolution", "16", "--workers", "1"]
    assert main([*generate, *few, "--out", str(folder)]) == 0
    judge = ["evaluate", "floor:zero", "--shards", str(folder), "--tasks", "steady_shift"]
    assert main([*judge, "--batch-size", "5", "--output", str(folder / "run.json")]) == 0
    return folder / "run.json"


def test_samples_carry_the_parameter_that_the_shards_say(judged: Path) -> None:
    results = read_results(judged)
    assert results is not None
    (record,) = results.records
    corpus = ShardedCorpus.open(judged.parent, "helmholtz_omega_13", "test")
    said = [corpus.metadata(number)["parameters"]["omega"] for number in range(len(corpus))]
    samples = read_samples(samples_path(judged), 0, record)
    omegas = samples.parameters["omega"]
    assert omegas.tolist() == said
    assert record.along is not None
    assert record.along.values == tuple(sorted(set(said)))
    assert sum(record.along.samples) == 12
    errors = samples.values["l2re"]
    for value, error in zip(record.along.values, record.along.errors, strict=True):
        assert error == pytest.approx(errors[omegas == value].mean(), rel=1e-5)


def test_a_choice_of_samples_is_grouped_again(judged: Path) -> None:
    ((record, samples),) = rescore(judged, Rescoring(keys="*-00000[0-4]"))
    assert record.along is not None
    assert sum(record.along.samples) == record.num_samples == 5
    assert set(record.along.values) == set(samples.parameters["omega"])
