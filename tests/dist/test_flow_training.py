"""Flow in boxes goes the whole way: tokenized, forecast among latents, on one rank as on two."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from box_flows import BOXES, SEMANTIC, SIDE
from box_shards import CHANNEL, PORES, write_boxes
from group import on_ranks
from runs import curve, pretrain, rows, watched
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from traffic import SentBytes

from data_shards.shards.corpus import ShardedCorpus
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.rescore import Rescoring, rescore
from evaluation.harness.runner import RunSettings, run_task
from evaluation.tasks.task import load_tasks
from foundation import Surrogate
from foundation.plan.cost import cost_of
from foundation.train.config import load_run_config
from launchers.cli import main

pytestmark = pytest.mark.dist

SHARED = (
    f"data.corpora=[{CHANNEL},{PORES}]",
    "global_batch=4",
    "loss.noise=0",
    "optimiser.lr=3e-3",
    "validation.horizon=1",
)
SWITCH = ("loss.balance=switch", "loss.balance_weight=0.01")


def model(name: str, **options) -> str:
    values = {"model_type": name, "resolution": SIDE, "channels": 5, **BOXES[name], **options}
    return f"model={json.dumps(values)}"


TOKENIZER = (model("flow_tokenizer"), "loss.objective=structure", *SHARED)


def latent(tokenizer: Path, **options) -> tuple[str, ...]:
    terms = ("loss.objective=terms", "loss.terms.latent.end=1")
    return (model("shodh_moe", **options), f"tokenizer={tokenizer}", *terms, *SWITCH, *SHARED)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_boxes(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="module")
def tokenizer(boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "tokenizer"
    assert on_ranks(1, pretrain, boxes, output, 1, None, TOKENIZER) == [0]
    return output / "model"


@pytest.fixture(scope="module")
def whole(boxes: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert on_ranks(1, pretrain, boxes, output, 1, None, latent(tokenizer)) == [0]
    return output


def test_a_tokenizer_learns_to_reconstruct(tokenizer):
    losses = [row["loss"] for row in rows(tokenizer.parent)]
    assert losses[-1] < 0.8 * losses[0]


def test_latents_are_learnt_and_the_tokenizer_is_left_as_it_was(whole, tokenizer):
    latents = [row["terms"]["latent"] for row in rows(whole)]
    assert latents[-1] < latents[0]
    before = load_file(tokenizer / "model.safetensors")
    after = load_file(whole / "model" / "model.safetensors")
    own = {name: weight for name, weight in after.items() if name.startswith("autoencoder.")}
    assert own.keys() == before.keys()
    assert all(torch.equal(own[name], before[name]) for name in own)
    about = json.loads((whole / "model" / "config.json").read_text())["about"]
    assert about["tokenizer_sha256"] == Surrogate.from_pretrained(tokenizer).fingerprint


def test_a_run_shows_how_the_corpora_part(whole):
    """Which share of each corpus's tokens goes to which expert, block by block, over training."""
    drawn = [row["expert_usage"] for row in rows(whole) if "expert_usage" in row]
    board = EventAccumulator(str(whole / "tensorboard"))
    board.Reload()
    assert len(board.Images("expert_usage")) == len(drawn) > 1
    for usage in drawn:
        assert set(usage) == {CHANNEL, PORES}
        for shares in usage.values():
            assert len(shares) == 2  # blocks
            assert all(sum(block) == pytest.approx(1) or not any(block) for block in shares)
    purities = [row["expert_purity"] for row in rows(whole) if "expert_purity" in row]
    assert purities
    assert all(0.5 <= share <= 1 for blocks in purities for share in blocks)
    assert board.Scalars("expert_purity/block0")


def test_two_ranks_with_an_expert_each_follow_the_curve_of_one(boxes, tokenizer, whole, tmp_path):
    """And send to each other's experts what the plan says."""
    spread, settings = tmp_path / "spread", latent(tokenizer)
    ranks = on_ranks(2, watched, SentBytes, boxes, spread, 2, settings)
    losses = [torch.tensor([row["loss"] for row in rows(run)]) for run in (spread, whole)]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)  # tokens in another order
    sent = [step["alltoall_base", 2] for steps in ranks for step in steps]
    run = load_run_config("debug", list(settings))
    plan = cost_of(run.model, 2, 2, 1, bf16=False, micro_batch=run.step_on(2).micro_batch)
    # Half of all tokens go to the other rank, whatever the router prefers, as far as both ranks
    # have the same flows.
    assert sum(sent) / len(sent) == pytest.approx(plan.traffic.exchange, rel=0.1)


def test_a_resumed_run_ends_bit_for_bit_alike_and_keeps_its_tokenizer(
    boxes, tokenizer, whole, tmp_path
):
    again, other = tmp_path / "again", tmp_path / "other"
    assert on_ranks(1, pretrain, boxes, again, 1, 4, latent(tokenizer)) == [0]
    retrained = (*TOKENIZER, "seed=1")
    assert on_ranks(1, pretrain, boxes, other, 1, None, retrained) == [0]
    moved = tmp_path / "tokenizer"
    shutil.copytree(other / "model", moved)
    assert on_ranks(1, pretrain, boxes, again, 1, None, (*latent(moved), "--resume")) == [2]
    assert on_ranks(1, pretrain, boxes, again, 1, None, (*latent(tokenizer), "--resume")) == [0]
    assert curve(again) == curve(whole)
    ends = [load_file(run / "model" / "model.safetensors") for run in (again, whole)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])


def test_both_are_judged_by_the_tasks_of_boxes(boxes, tokenizer, whole, tmp_path):
    for checkpoint, tasks in ((tokenizer, "reconstruction"), (whole / "model", "boxes")):
        output = tmp_path / f"{tasks}.json"
        judge = ["evaluate", str(checkpoint), "--shards", str(boxes), "--tasks", tasks]
        assert main([*judge, "--output", str(output)]) == 0
        records = json.loads(output.read_text())["records"]
        assert [record["task"]["corpus"] for record in records] == [CHANNEL, PORES]
        for record in records:
            scores = record["scores"]
            assert scores["face_divergence"]["value"] < 1e-6  # what float32 leaves
            assert {
                "l2re",
                "spectral_low",
                "mean_flow_error",
                "slip",
                "slip_exact",
            } <= scores.keys()
            exact, stored = (scores[f"max_divergence{kept}"]["value"] for kept in ("", "_stored"))
            assert exact < 1e-11 < 1e-8 < stored < 1e-3
    assert main(["leaderboard", str(tmp_path), "--output", str(tmp_path / "board")]) == 0
    assert (tmp_path / "board" / "index.html").stat().st_size > 10_000


def test_an_oracle_is_judged_on_the_experts_that_it_learnt_with(boxes, tokenizer, tmp_path):
    output = tmp_path / "oracle"
    router = {**SEMANTIC, "by": "corpus"}
    settings = latent(tokenizer, router=router)
    assert on_ranks(1, pretrain, boxes, output, 1, None, settings) == [0]
    command = ["routing", str(output / "model"), "--task", "routing_boxes", "--shards", str(boxes)]
    assert main([*command, "--output", str(tmp_path / "routing.json")]) == 0
    (record,) = json.loads((tmp_path / "routing.json").read_text())["records"]
    blocks = record["findings"]["specialisation"]
    assert [block["purity"] for block in blocks] == pytest.approx([1, 1])
    assert [block["mutual_information_bits"] for block in blocks] == pytest.approx([1, 1])
    judge = ["evaluate", str(output / "model"), "floor:persistence", "--tasks", "latents"]
    assert main([*judge, "--shards", str(boxes), "--output", str(tmp_path / "latents.json")]) == 0
    model, other, *floors = json.loads((tmp_path / "latents.json").read_text())["records"]
    assert 0 < model["scores"]["latent"]["value"] < 10
    assert 0 < other["scores"]["latent"]["value"] < 10
    assert all(list(floor["scores"]) == ["l2re"] for floor in floors), "a floor has no latents"


@pytest.mark.parametrize(
    ("checkpoint", "tasks", "message"),
    [
        ("tokenizer", "boxes", "reconstructs frames, task"),
        ("whole", "reconstruction", "does not reconstruct frames"),
    ],
)
def test_a_tokenizer_forecasts_nothing_and_a_forecaster_reconstructs_nothing(
    checkpoint, tasks, message, boxes, tokenizer, whole, tmp_path, capsys
):
    folder = tokenizer if checkpoint == "tokenizer" else whole / "model"
    judge = ["evaluate", str(folder), "--shards", str(boxes), "--tasks", tasks]
    assert main([*judge, "--output", str(tmp_path / "run.json")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda folder: latent(folder)[:1], "stands on a trained tokenizer"),
        (lambda folder: latent(folder, channels=4), "its channels is 5, the model's 4"),
        (lambda folder: latent(folder, resolution=16), "its resolution is 8, the model's 16"),
        (lambda folder: latent(folder / "none"), "no such checkpoint folder"),
        (lambda folder: (*TOKENIZER, f"tokenizer={folder}"), "stands on none; leave it out"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    settings, message, boxes, tokenizer, tmp_path, capsys
):
    assert pretrain(boxes, tmp_path / "run", extra=settings(tokenizer)) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1


def test_boxes_are_not_for_planes_nor_planes_for_boxes(boxes, waves, tmp_path, capsys):
    assert pretrain(boxes, tmp_path / "plane", extra=(f"data.corpora=[{PORES}]",)) == 2
    assert "is three-dimensional, the model takes planes" in capsys.readouterr().err
    planes = (*TOKENIZER, "data.corpora=[toy_wave]")
    assert pretrain(waves, tmp_path / "box", extra=planes) == 2
    assert "is a plane, the model takes boxes" in capsys.readouterr().err


def test_routers_tell_how_purely_the_corpora_part(boxes, whole, tmp_path):
    output = tmp_path / "routing.json"
    command = ["routing", str(whole / "model"), "--untrained", "--task", "routing_boxes"]
    assert main([*command, "--shards", str(boxes), "--output", str(output)]) == 0
    records = json.loads(output.read_text())["records"]
    floors = [record["untrained_purity"] for record in records]
    assert floors[0] == floors[1]  # whatever the routers have learnt
    assert 0.5 <= floors[0] <= 1
    for record in records:
        for block in record["findings"]["specialisation"]:
            assert 0.5 <= block["purity"] <= 1
        for usage in record["findings"]["usage"]:
            assert [sum(row) for row in usage["weight"]] == pytest.approx([1, 1])


def test_what_is_rescored_of_a_reconstruction_is_what_a_run_measures(boxes, tokenizer, tmp_path):
    """`growth` needs the truth: the frame that was given, not the one after."""
    output = tmp_path / "run.json"
    command = ["evaluate", str(tokenizer), "--shards", str(boxes), "--save-predictions"]
    tasks = "reconstruction_porous_3d"
    assert main([*command, "--tasks", tasks, "--output", str(output)]) == 0
    ((again, _),) = rescore(output, Rescoring(metrics=("growth",)), boxes)
    task = load_tasks()[tasks].model_copy(update={"metrics": ("l2re", "growth")})
    forecaster = open_forecaster(str(tokenizer), torch.device("cpu"))
    direct, _ = run_task(forecaster, task, ShardedCorpus.open(boxes, PORES, "test"), RunSettings())
    assert again.scores["growth"].value == pytest.approx(direct.scores["growth"].value, rel=1e-5)
