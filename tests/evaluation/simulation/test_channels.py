"""Law: a channel has the unit that the file gives its array, wherever it is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_files import waves
from runs import write_checkpoint

from data_shards.simulation_file import Simulation
from data_shards.simulation_file.simulation import Coordinate, FileLayout
from evaluation.simulation.channels import channels_of
from evaluation.simulation.page.render import render_scrub
from evaluation.simulation.page.scrub import scrub
from foundation import Surrogate

SPEED, HEIGHT = {"units": "m/s"}, {"units": "m", "long_name": "height"}


def _simulation(arrays: tuple[str, ...], attributes: tuple[dict[str, str], ...]) -> Simulation:
    """Two channels, in one array of both or in one each."""
    fields = waves(frames=12)
    rows, columns = fields.shape[2:]
    axes = "tcyx" if len(arrays) == 1 else "tyx"
    return Simulation(
        fields=fields,
        channels=("u", "v"),
        times=Coordinate("t", np.arange(12.0)),
        rows=Coordinate("y", np.arange(float(rows))),
        columns=Coordinate("x", np.arange(float(columns))),
        boundary="edge",
        layout=FileLayout("hdf5", arrays, axes, np.dtype("f4"), attributes=attributes),
        source=Path("flow.h5"),
    )


@pytest.mark.parametrize(
    ("arrays", "attributes", "units"),
    [
        (("u", "v"), (SPEED, HEIGHT), ["m/s", "m"]),
        (("u", "v"), ({}, HEIGHT), ["1", "m"]),
        (("velocity",), (SPEED,), ["m/s", "m/s"]),
        (("velocity",), ({},), ["1", "1"]),
        (("velocity",), (), ["1", "1"]),
        (("u", "v"), (), ["1", "1"]),
    ],
)
def test_units_are_those_of_the_arrays_that_channels_are_of(
    arrays: tuple[str, ...], attributes: tuple[dict[str, str], ...], units: list[str]
) -> None:
    found = channels_of(_simulation(arrays, attributes))
    assert [channel.name for channel in found] == ["u", "v"]
    assert [channel.unit for channel in found] == units


def test_the_page_tells_the_same_units(tmp_path: Path) -> None:
    model = Surrogate.from_pretrained(write_checkpoint(tmp_path / "model"))
    simulation = _simulation(("velocity",), (SPEED,))
    page = render_scrub(scrub(model, simulation), "", (), "")
    for name in ("u", "v"):
        assert f">{name} [m/s]</option>" in page
    bare = replace(simulation, layout=replace(simulation.layout, attributes=()))
    assert "[m/s]" not in render_scrub(scrub(model, bare), "", (), "")
