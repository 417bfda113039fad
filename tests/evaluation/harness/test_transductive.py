"""What was trained on unlabelled parameters of its tests says so wherever its numbers stand."""

from pathlib import Path

import pytest
import torch
from states import states_network

from evaluation.board.model_card import Evidence, model_card
from evaluation.harness.forecaster import open_forecaster
from foundation import Surrogate
from foundation.train.config import load_run_config
from foundation.train.run_folder import about_of


def checkpoint(folder: Path, preset: str) -> Path:
    """Of a run of a preset, without the training."""
    about = about_of({"preset": preset}, load_run_config(preset, []), steps=1, samples=1)
    model = states_network(resolution=16)
    Surrogate(model, model.config, about).save_pretrained(folder / preset)
    return folder / preset


@pytest.mark.parametrize(("preset", "told"), [("pg_moe", True), ("pg_moe_labels", False)])
def test_only_energies_of_unlabelled_parameters_make_a_result_transductive(tmp_path, preset, told):
    folder = checkpoint(tmp_path, preset)
    for name, shown in ((None, preset), ("mine", "mine")):
        facts = open_forecaster(str(folder), torch.device("cpu"), name).facts
        assert facts.name == (f"{shown} (transductive)" if told else shown)
    card = model_card(folder, "f" * 64, Evidence())
    assert ("is transductive" in card) == told
    assert "It predicts ground states" in card
    assert "torch.full((1, 1, 16), 0.5)" in card


def test_a_run_without_unlabelled_corpora_is_told_of_as_before():
    run = load_run_config("nano", [])
    assert about_of({}, run, 3, 5) == {
        "corpora": list(run.data.corpora),
        "loss": {"relative_to": "change", "noise": 1e-5, "balance_weight": 0.01},
        "steps": 3,
        "samples": 5,
        "seed": run.seed,
    }
