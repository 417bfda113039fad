"""The bench of boxes: its fields are flows, and what it records is measured."""

import json

import pytest
import torch

from data_shards.box.grid import divergence
from foundation.physics.staggered import along_walls, open_faces
from launchers.benchmarks.boxes import box_of, flow_in
from launchers.benchmarks.options import GEOMETRIES
from launchers.cli import main


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_its_fields_are_incompressible_flows_of_speed_one(geometry):
    fluid, origin = box_of(geometry, 16)
    velocity = flow_in(fluid, origin, seed=3)[:3]
    walls = torch.tensor([[False, geometry == "channel", False]])
    closed = open_faces(fluid[None].double(), walls)[0] == 0
    assert closed.any()
    assert (velocity[closed] == 0).all()
    assert divergence(velocity, (1 / 16,) * 3).abs().max() < 1e-11
    assert float(velocity.square().sum() / fluid.sum()) == pytest.approx(1)


def test_spheres_are_eight_and_of_their_size():
    fluid, _ = box_of("spheres", 32)
    assert torch.equal(fluid, fluid.roll((16, 16, 16), (0, 1, 2)))
    volume = 4 / 3 * torch.pi * 0.3**3
    assert 1 - float(fluid.mean()) == pytest.approx(volume, rel=0.05)  # counted in cells
    touched = along_walls(fluid[None], torch.zeros(1, 3), torch.zeros(1, 3, 2))
    assert touched.sum() > 0


def test_a_record_tells_the_divergence_of_both_decoders_and_how_it_was_measured(tmp_path, capsys):
    path = tmp_path / "boxes.json"
    small = ["model.resolution=16", "model.autoencoder.width=4"]
    assert (
        main(["bench", "boxes", "--preset", "tokenizer_small", "--output", str(path), *small]) == 0
    )
    record = json.loads(path.read_text())
    assert record["grid"] == [16, 16, 16]
    assert "other work" in record["seconds"]
    for field in record["fields"]:
        assert field["cpu_seconds"] > 0
        assert field["seconds"] > 0
        # At least the decoded frame in float64, and its features.
        assert field["tensor_gib"] * 2**30 > 16**3 * (4 * 8 + 2 * 4 * 4)
        if field["velocity"] == "free":
            assert field["max_divergence"] > 1
        else:
            assert field["max_divergence"] < 1e-11 < 1e-7 < field["max_divergence_stored"] < 1e-3
    assert {field["geometry"] for field in record["fields"]} == set(GEOMETRIES)
    assert capsys.readouterr().out.count("max |div|") == 4


def test_a_preset_that_reconstructs_nothing_is_refused(tmp_path, capsys):
    output = str(tmp_path / "boxes.json")
    assert main(["bench", "boxes", "--preset", "shodh_small", "--output", output]) == 2
    assert "is a shodh_moe, which reconstructs nothing" in capsys.readouterr().err
