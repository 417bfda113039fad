"""Checkpoints judged on the cells of the data, native and by regridding, through the console."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.other_grids import on_data_grid
from foundation.models.types import Prediction
from launchers.cli import main


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve cells too many: twice those of the checkpoint."""
    folder = tmp_path_factory.mktemp("fine")
    words = ["shards", "generate", "fno_ns_1e-3", "--profile", "small", "--split", "test"]
    few = ["--trajectories", "1", "--resolution", "32", "--workers", "1", "--out", str(folder)]
    assert main([*words, *few]) == 0
    return folder


def test_a_checkpoint_answers_on_the_cells_of_the_data(
    fine: Path, checkpoint: Path, tmp_path: Path
) -> None:
    found = {}
    for way in ("model", "native", "regrid"):
        output = tmp_path / f"{way}.json"
        words = ["evaluate", str(checkpoint), "floor:persistence", "--shards", str(fine)]
        terms = ["--tasks", "zero_shot_fno_ns_1e-3", "--grid", way, "--output", str(output)]
        assert main([*words, *terms]) == 0
        model, floor = json.loads(output.read_text())["records"]
        found[way] = model
        assert floor["model"]["name"] == "persistence"
    grids = {way: record["provenance"]["resolution"] for way, record in found.items()}
    assert grids == {"model": 16, "native": 32, "regrid": 32}
    assert found["native"]["model"]["name"] == "seedling (native)"
    assert len({record["model"]["fingerprint"] for record in found.values()}) == 3
    assert found["native"]["scores"]["l2re"]["value"] != found["regrid"]["scores"]["l2re"]["value"]


def test_padding_stays_constant_on_the_way_to_the_own_grid(checkpoint: Path) -> None:
    """Rounding of it would be noise, which a network sees in units of its own deviation."""
    seen: list[Tensor] = []
    forecaster = open_forecaster(str(checkpoint), torch.device("cpu"))
    layout = forecaster.layout
    assert layout is not None

    def model(batch: Batch) -> Prediction:
        seen.append(batch.given)
        return Prediction(batch.given[:, -1:], (), batch.given.new_empty(len(batch), 0))

    generator = torch.Generator().manual_seed(0)
    fields = torch.randn(2, 4, layout.channels, 96, 96, generator=generator)
    fields[:, :, 1:] = 1.0
    asked_mask = torch.zeros(2, layout.channels)
    asked_mask[:, 0] = 1
    ids = torch.zeros(2, dtype=torch.int64)
    batch = Batch(fields, fields[:, :0], asked_mask, torch.ones(2, 1, 96, 96), ids, ("", ""))
    on_data_grid(replace(forecaster, model=model), "regrid").forecast(batch, 1)
    assert seen[0].shape[-2:] == layout.grid != (96, 96)
    assert (seen[0][:, :, 1:] == 1.0).all()


def test_ensembles_stay_on_their_own_grid(
    fine: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(checkpoint), "--shards", str(fine), "--members", "2"]
    terms = ["--tasks", "zero_shot_fno_ns_1e-3", "--grid", "native"]
    assert main([*words, *terms, "--output", str(tmp_path / "x.json")]) == 2
    assert "--grid model" in capsys.readouterr().err
