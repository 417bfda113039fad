"""A checkpoint folder is judged as the model in memory is, and as its rollout by hand."""

import json
from pathlib import Path

import pytest
import torch

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import square
from data_shards.stream.windows import load_windows
from evaluation.harness.validation import Validator
from evaluation.metrics.points import scored_points
from evaluation.metrics.relative import l2re
from evaluation.tasks.task import load_tasks
from foundation import Surrogate
from foundation.models.rollout import rollout
from launchers.cli import main


def test_a_checkpoint_scores_as_its_rollout_by_hand(
    checkpoint: Path, shards: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    command = ["evaluate", str(checkpoint), "--shards", str(shards), "--output", str(output)]
    assert main([*command, "--tasks", "zero_shot_cfdbench", "--batch-size", "2"]) == 0
    record = json.loads(output.read_text())["records"][0]

    model = Surrogate.from_pretrained(checkpoint)
    corpus = ShardedCorpus.open(shards, "cfdbench", "test")
    batch = load_windows(corpus, range(3), square(16), context_frames=10, target_frames=10)
    # The obstacle is a channel of the context that is carried over, not predicted.
    with torch.no_grad():
        pred = rollout(model, batch, 10)
    points = scored_points(batch.asked_mask, batch.valid_mask, stride=2)
    expected = l2re(pred, batch.asked, points).mean().item()
    # 1e-5: batches of another size sum in another order
    assert record["scores"]["l2re"]["value"] == pytest.approx(expected, rel=1e-5)
    assert record["model"]["name"] == "seedling"
    assert record["model"]["fingerprint"] == model.fingerprint
    counts = model.parameter_counts()
    assert record["model"]["parameters_total"] == counts.total
    assert record["model"]["parameters_activated"] == counts.activated < counts.total


def test_validation_in_the_loop_agrees_with_the_judge(
    checkpoint: Path, shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "short.yaml").write_text(
        "{name: short, version: 1, description: '', corpus: fno_ns_1e-5, rollout_frames: 4}"
    )
    output = tmp_path / "run.json"
    command = ["evaluate", str(checkpoint), "--shards", str(shards), "--output", str(output)]
    assert main([*command, "--tasks", "short", "--include", str(tmp_path), "--limit", "4"]) == 0
    value = json.loads(output.read_text())["records"][0]["scores"]["l2re"]["value"]
    corpus = ShardedCorpus.open(shards, "fno_ns_1e-5", "test")
    validator = Validator([corpus], square(16), 10, 4, limit=4, batch_size=4)
    model = Surrogate.from_pretrained(checkpoint)
    assert validator(model)["fno_ns_1e-5"] == pytest.approx(value, rel=1e-5)
    assert "short" not in load_tasks()


def test_a_missing_checkpoint_fails_before_the_first_forecast(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run.json"
    command = ["evaluate", "floor:persistence", str(tmp_path / "gone"), "--shards", str(shards)]
    assert main([*command, "--tasks", "zero_shot_cfdbench", "--output", str(output)]) == 2
    printed = capsys.readouterr().err
    assert "gone" in printed
    assert "samples" not in printed
