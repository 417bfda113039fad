"""Baselines are judged by the same code as the mixture, and rank beside it."""

import json
from pathlib import Path

import pytest
import torch
from architectures import DENSE, SIZES, config_of, network_of

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import square
from data_shards.stream.windows import load_windows
from evaluation.harness.validation import Validator
from foundation import Surrogate
from foundation.models.rollout import rollout
from foundation.physics.norms import relative_l2
from launchers.cli import main


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of every architecture."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in SIZES:
        options = {"target": "increment", "instance_norm": True, "out_frames": 2}
        model = Surrogate(network_of(name, **options), config_of(name, **options), {})
        model.save_pretrained(folder / name)
    return {name: folder / name for name in SIZES}


@pytest.fixture(scope="module")
def records(checkpoints, shards, tmp_path_factory) -> dict[str, dict]:
    """One command judges all of them on one corpus."""
    output = tmp_path_factory.mktemp("records") / "run.json"
    folders = [str(folder) for folder in checkpoints.values()]
    command = ["evaluate", *folders, "--shards", str(shards), "--output", str(output)]
    assert main([*command, "--tasks", "zero_shot_pdebench_cns_m0.1", "--batch-size", "3"]) == 0
    return {r["model"]["name"]: r for r in json.loads(output.read_text())["records"]}


@pytest.mark.parametrize("name", SIZES)
def test_a_record_says_what_was_judged(records, checkpoints, name):
    model, facts = Surrogate.from_pretrained(checkpoints[name]), records[name]["model"]
    counts = model.parameter_counts()
    assert facts["model_type"] == name
    assert facts["fingerprint"] == model.fingerprint
    assert (facts["parameters_total"], facts["parameters_activated"]) == counts
    assert (counts.total == counts.activated) == (name in DENSE)


@pytest.mark.parametrize("name", SIZES)
def test_a_score_is_the_error_of_the_rollout_by_hand(records, checkpoints, shards, name):
    corpus = ShardedCorpus.open(shards, "pdebench_cns_m0.1", "test")
    layout = square(16)
    batch = load_windows(corpus, range(3), layout, context_frames=10, target_frames=11)
    with torch.no_grad():
        pred = rollout(Surrogate.from_pretrained(checkpoints[name]), batch, 11)
    every = (..., slice(None, None, 2), slice(None, None, 2))  # the stored grid has 8 points
    expected = relative_l2(pred[every], batch.asked[every]).mean()
    # 1e-5: batches of another size sum in another order
    value = records[name]["scores"]["l2re"]["value"]
    assert value == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", DENSE)
def test_validation_in_the_loop_takes_a_dense_network(checkpoints, shards, name):
    corpus = ShardedCorpus.open(shards, "cfdbench", "test")
    model = Surrogate.from_pretrained(checkpoints[name])
    validator = Validator([corpus], square(16), 10, 4, limit=3, batch_size=2)
    assert 0 < validator(model)["cfdbench"] < float("inf")
