"""What routes by corpus is judged on the experts that it learnt with, and on no other corpora."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import square
from data_shards.stream.windows import load_windows
from evaluation.harness.validation import Validator
from evaluation.metrics.points import scored_points
from evaluation.metrics.relative import l2re
from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config
from foundation.models.rollout import rollout
from launchers.cli import main

LEARNT = ("pdebench_cns_m0.1", "fno_ns_1e-5")


@pytest.fixture
def oracle(checkpoint: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "oracle"
    sizes = Surrogate.from_pretrained(checkpoint).config.model_dump()
    router = {"num_experts": 4, "top_k": 1, "by": "corpus"}
    config = read_model_config({**sizes, "router": router}, "test")
    about = {"corpora": list(LEARNT)}
    Surrogate(build_model(config, seed=0), config, about).save_pretrained(folder)
    return folder


@torch.no_grad()
def error_with(model: Surrogate, corpus: ShardedCorpus, number: int) -> float:
    batch = load_windows(
        corpus, range(corpus.num_trajectories), square(16), context_frames=10, target_frames=10
    )
    batch = replace(batch, corpus_id=torch.full_like(batch.corpus_id, number))
    points = scored_points(batch.asked_mask, batch.valid_mask, stride=2)
    return l2re(rollout(model, batch, 10), batch.asked, points).mean().item()


def test_its_judge_and_validation_take_the_expert_of_its_training(
    oracle: Path, shards: Path, corpus: Callable[[str], ShardedCorpus], tmp_path: Path
) -> None:
    (tmp_path / "ten.yaml").write_text(
        "{name: ten, version: 1, description: '', corpus: fno_ns_1e-5, rollout_frames: 10}"
    )
    command = ["evaluate", str(oracle), "--shards", str(shards), "--tasks", "ten"]
    command += ["--include", str(tmp_path), "--output", str(tmp_path / "run.json")]
    assert main(command) == 0
    judged = json.loads((tmp_path / "run.json").read_text())["records"][0]["scores"]["l2re"]
    model, opened = Surrogate.from_pretrained(oracle), corpus("fno_ns_1e-5")
    errors = [error_with(model, opened, number) for number in range(4)]
    # 1e-5: batches of another size sum in another order
    assert judged["value"] == pytest.approx(errors[1], rel=1e-5)
    assert len({round(error, 6) for error in errors}) == 4
    validator = Validator([opened], square(16), 10, 10, limit=5, batch_size=5, learnt=LEARNT)
    assert validator(model)["fno_ns_1e-5"] == pytest.approx(errors[1], rel=1e-5)


def test_a_corpus_of_which_it_has_no_expert_is_refused(
    oracle: Path,
    shards: Path,
    learnable: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "two.yaml").write_text(
        "{name: two, version: 1, description: '', kind: routing, "
        "corpora: [fno_ns_1e-5, fno_ns_1e-4], windows: 2}"
    )
    of_corpus, of_two = ["--tasks", "zero_shot_cfdbench"], ["--task", "two"]
    output = str(tmp_path / "run.json")
    for unknown, verb, folder, named in (
        ("cfdbench", "evaluate", shards, of_corpus),
        ("fno_ns_1e-4", "routing", learnable, [*of_two, "--include", str(tmp_path)]),
    ):
        command = [verb, str(oracle), *named, "--shards", str(folder), "--output", output]
        assert main(command) == 2
        printed = capsys.readouterr().err
        assert f"no expert of {unknown}, it learnt {', '.join(LEARNT)}" in printed


def test_a_user_is_told_that_no_corpus_is_known_of_a_context(oracle: Path) -> None:
    context = torch.zeros(1, 10, 1, 16, 16)
    with pytest.raises(UserError, match="a context is of none"):
        Surrogate.from_pretrained(oracle).forecast(context, 1)
