"""Steady problems go the whole way: learnt, chosen by validation, fine-tuned, judged, answered."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from group import on_ranks
from runs import curve, finetune, pretrain, rows
from safetensors.torch import load_file
from steady import MIXED, SIDE, SLOTS, write_steady

from data_shards.shards.corpus import ShardedCorpus
from foundation import Surrogate
from launchers.cli import main

pytestmark = pytest.mark.dist

POISSON, HELMHOLTZ = "elliptic_poisson", "elliptic_helmholtz"


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_steady(tmp_path_factory.mktemp("steady"), POISSON, HELMHOLTZ)


def settings(slots: tuple[str, ...], *corpora: str) -> tuple[str, ...]:
    model = {
        "model_type": "fno",
        "resolution": SIDE,
        "channels": len(slots),
        "asked_channels": 1,
        "slots": list(slots),
        "context_frames": 1,
        "width": 6,
        "modes": 4,
        "projection": 12,
    }
    return (
        f"model={json.dumps(model)}",
        f"data.corpora=[{','.join(corpora)}]",
        "scales=measured",
        "loss.objective=sum_of_squares",
        "loss.noise=0",
        "schedule.kind=cosine",
        "optimiser.lr=2e-3",
    )


SINGLE = settings(SLOTS, POISSON)


@pytest.fixture(scope="module")
def whole(problems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert on_ranks(1, pretrain, problems, output, 1, None, SINGLE) == [0]
    return output


def test_a_resumed_run_measures_the_same_scales_and_ends_bit_for_bit_alike(
    problems, whole, tmp_path
):
    again = tmp_path / "again"
    assert on_ranks(1, pretrain, problems, again, 1, 4, SINGLE) == [0]
    unscaled = tuple(setting for setting in SINGLE if setting != "scales=measured")
    assert on_ranks(1, pretrain, problems, again, 1, None, (*unscaled, "--resume")) == [2]
    assert on_ranks(1, pretrain, problems, again, 1, None, (*SINGLE, "--resume")) == [0]
    assert curve(again) == curve(whole)
    ours, theirs = (load_file(r / "model" / "model.safetensors") for r in (again, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_scales_are_medians_over_what_is_learnt_and_travel_with_the_checkpoint(problems, whole):
    scales = Surrogate.from_pretrained(whole / "model").config.scales
    corpus = ShardedCorpus.open(problems, POISSON, "train")
    k11 = [corpus.metadata(i)["parameters"]["k11"] for i in range(len(corpus))]
    norms = [np.linalg.norm(corpus.window(i, 0, 1)[0, 0]) / SIDE**2 for i in range(len(corpus))]
    assert scales.of("k11") == pytest.approx(np.median(k11), rel=1e-5)
    assert scales.of("source") == pytest.approx(np.median(norms), rel=1e-5)


def test_a_fine_tuned_network_keeps_its_scales_unless_told_and_is_chosen_by_validation(
    problems, whole, tmp_path
):
    stopping = ("validation.keep_best=true", "validation.every=1")
    extra = ("--corpus", HELMHOLTZ, "--trajectories", "4", *stopping)
    assert on_ranks(1, finetune, whole / "model", problems, tmp_path / "no", 1, None, extra) == [2]
    extra = ("--corpus", POISSON, "--trajectories", "4", *stopping)
    kept, own = tmp_path / "kept", tmp_path / "own"
    assert on_ranks(1, finetune, whole / "model", problems, kept, 1, None, extra) == [0]
    assert on_ranks(
        1, finetune, whole / "model", problems, own, 1, None, (*extra, "scales=measured")
    ) == [0]
    before, after, other = (
        Surrogate.from_pretrained(folder / "model").config.scales for folder in (whole, kept, own)
    )
    assert before == after
    assert before != other
    errors = {row["step"]: row["l2re"][POISSON] for row in rows(kept, "validation")}
    about = Surrogate.from_pretrained(kept / "model").about
    assert about["best_step"] == min(errors, key=errors.get)


def test_one_network_learns_several_equations(problems, tmp_path):
    output = tmp_path / "mixed"
    extra = settings(MIXED, POISSON, HELMHOLTZ)
    assert on_ranks(1, pretrain, problems, output, 1, None, extra) == [0]
    assert set(rows(output, "validation")[-1]["l2re"]) == {POISSON, HELMHOLTZ}
    scales = yaml.safe_load((output / "config.yaml").read_text())["run"]["model"]["scales"]
    assert scales["v1"] == 0  # absent from both


def by_hand(checkpoint: Path, corpus: ShardedCorpus) -> float:
    """Mean relative L2 error of `Surrogate.solve` over a split."""
    fields = torch.from_numpy(np.stack([corpus.window(i, 0, 1)[0] for i in range(len(corpus))]))
    metadata = [corpus.metadata(i)["parameters"] for i in range(len(corpus))]
    parameters = {name: torch.tensor([m[name] for m in metadata]) for name in SLOTS[1:]}
    u = Surrogate.from_pretrained(checkpoint).solve(fields[:, 0], parameters)[:, 0]
    errors = (u - fields[:, 1]).flatten(1).norm(dim=1) / fields[:, 1].flatten(1).norm(dim=1)
    return float(errors.mean())


def test_it_is_judged_beside_zeros_and_answers_a_file_with_its_residual(
    problems, whole, tmp_path, capsys
):
    output = tmp_path / "records.json"
    command = ["evaluate", str(whole / "model"), "floor:zero", "--shards", str(problems)]
    assert main([*command, "--tasks", f"steady_{POISSON}", "--output", str(output)]) == 0
    own, zero = json.loads(output.read_text())["records"]
    assert zero["scores"]["l2re"]["value"] == pytest.approx(1)
    assert zero["scores"]["residual"]["value"] == pytest.approx(1)
    corpus = ShardedCorpus.open(problems, POISSON, "test")
    assert own["scores"]["l2re"]["value"] == pytest.approx(by_hand(whole / "model", corpus))
    source, truth = corpus.window(1, 0, 1)[0]
    parameters = corpus.metadata(1)["parameters"]
    plate = tmp_path / "plate.npz"
    np.savez(plate, source=source, **{name: parameters[name] for name in SLOTS[1:]})
    answer = tmp_path / "answer.npz"
    assert main(["predict", str(whole / "model"), str(plate), "--output", str(answer)]) == 0
    report = json.loads((tmp_path / "answer.report.json").read_text())
    with np.load(answer) as found:
        u = found["u"] - found["u"].mean()  # the equation leaves the mean open
    # The report knows no truth; float32 shards hold it to about 1e-5.
    assert report["error"] == pytest.approx(
        np.linalg.norm(u - truth) / np.linalg.norm(truth), rel=1e-3
    )
    capsys.readouterr()
    refused = main(["evaluate", "floor:persistence", *command[2:], "--output", str(output),
                    "--tasks", f"steady_{POISSON}", "--overwrite"])  # fmt: skip
    assert refused == 2
    assert "take floor:zero" in capsys.readouterr().err
