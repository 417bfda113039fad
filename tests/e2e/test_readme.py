"""What the README tells a user to type: its example in Python, its walk-through to the letter."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from group import on_ranks
from runs import write_checkpoint
from swift_hohenberg import COLUMNS, ROWS, write_patterns

from launchers.cli import main

TEXT = (Path(__file__).parents[2] / "README.md").read_text()
MODEL = "quickstart/run/model"


def block(heading: str) -> str:
    """The first fenced block below a heading."""
    below = TEXT.split(f"{heading}\n", 1)[1]
    found = re.search(r"```\w*\n(.*?)```", below, re.DOTALL)
    assert found
    return found[1]


def test_the_example_in_python_runs_on_the_folder_that_the_quickstart_makes(
    tmp_path, monkeypatch, generator
):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(Path(MODEL), resolution=64, patch=8)
    context = torch.randn(2, 10, 3, 64, 64, generator=generator)
    names = {"context": context}
    exec(block("## Use a checkpoint"), names)
    assert names["future"].shape == (2, 10, 3, 64, 64)
    assert torch.isfinite(names["future"]).all()
    assert not torch.equal(names["future"][:, 0], context[:, -1])
    for route in names["routes"]:
        assert route.probabilities.sum(-1).tolist() == pytest.approx([1, 1])


def commands() -> list[list[str]]:
    text = block("### Your own simulations, from files to a fine-tuned forecast")
    return [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]


def finetuned(folder: Path, arguments: list[str]) -> int:
    from launchers.finetune import main

    os.chdir(folder)
    return main(["--local_rank=0", *arguments])


@pytest.mark.dist
def test_the_walk_through_fine_tunes_on_data_of_a_solver_of_no_corpus(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(Path(MODEL), instance_norm=True, target="increment")
    write_patterns(Path("mine"), 5)[-1].rename("mine/new.npz")
    judge, convert, tune, predict = commands()

    assert main([*judge[1:], "--steps", "10", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["by_frame"][0]
    assert main(convert[1:]) == 0
    assert "4 trajectories" in capsys.readouterr().err
    launcher, _, ranks, script, *arguments = tune
    assert (launcher, script) == ("deepspeed", "launchers/finetune.py")
    assert on_ranks(int(ranks), finetuned, tmp_path, arguments) == [0, 0]
    assert main(predict[1:]) == 0

    report = json.loads(Path("mine/forecast.report.json").read_text())
    after = report["by_frame"][0]
    assert after["persistence"] == before["persistence"]
    assert after["median"] < before["median"], "it has learnt from four runs"
    with np.load("mine/forecast.npz") as forecast:
        assert forecast["u"].shape == (10, ROWS, COLUMNS)
        assert forecast["t"][0] == pytest.approx(8.0), "time goes on after frame 15 at 0.5 s each"
    about = json.loads(Path("mine/tuned/model/config.json").read_text())["about"]
    assert about["router"] == "frozen"
    assert 0 < about["best_step"] <= about["steps"]
