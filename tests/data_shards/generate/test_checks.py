"""What is refused, and that every refusal names corpus, index and law."""

from dataclasses import replace

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.generate.checks import SimulationError, check_trajectory
from data_shards.trajectory import Trajectory

CELLS = 8


def sound(corpus: str) -> Trajectory:
    """A trajectory that passes: positive, moving noise."""
    card = load_card(corpus)
    shape = (card.frames, len(card.channels), CELLS, CELLS)
    fields = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)
    return Trajectory(
        fields=fields,
        corpus=corpus,
        index=17,
        seed=0,
        dt_s=1.0,
        extent=(0.0, 1.0, 0.0, 1.0),
        boundary={},
        parameters={"velocity": 1.0, "problem": "tube"} if corpus == "cfdbench" else {},
    )


def refusal(trajectory: Trajectory, resolution: int = CELLS) -> str:
    with pytest.raises(SimulationError) as caught:
        check_trajectory(trajectory, load_card(trajectory.corpus), resolution)
    message = str(caught.value)
    assert f"{trajectory.corpus} trajectory 17" in message
    return message


def changed(trajectory: Trajectory, where: tuple[int, ...], value: float) -> Trajectory:
    fields = trajectory.fields.copy()
    fields[where] = value
    return replace(trajectory, fields=fields)


@pytest.mark.parametrize("corpus", ["cfdbench", "pdebench_cns_m0.1", "pdebench_swe"])
def test_a_sound_trajectory_passes(corpus):
    check_trajectory(sound(corpus), load_card(corpus), CELLS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_refused_with_channel_and_frame(value):
    message = refusal(changed(sound("pdebench_cns_m0.1"), (5, 2, 1, 1), value))
    assert "density is not finite from frame 5" in message


@pytest.mark.parametrize(
    ("corpus", "channel", "name"),
    [("pdebench_cns_m0.1", 2, "density"), ("pdebench_cns_m0.1", 3, "pressure"),
     ("pdebench_swe", 0, "h")],
)  # fmt: skip
def test_density_pressure_and_depth_must_be_positive_and_velocities_need_not(corpus, channel, name):
    assert f"{name} falls to 0" in refusal(changed(sound(corpus), (3, channel, 0, 0), 0.0))
    gas = changed(sound("pdebench_cns_m0.1"), (3, 0, 0, 0), -1.0)
    check_trajectory(gas, load_card(gas.corpus), CELLS)


def test_wrong_frames_channels_or_resolution_are_refused():
    fine = sound("pdebench_swe")
    assert "(100, 1, 8, 8)" in refusal(replace(fine, fields=fine.fields[:-1]))
    assert "(101, 2, 8, 8)" in refusal(replace(fine, fields=fine.fields.repeat(2, axis=1)))
    assert "(101, 1, 16, 16)" in refusal(fine, resolution=16)


def test_parameters_off_the_card_are_refused():
    flow = sound("cfdbench")
    assert "velocity=50" in refusal(replace(flow, parameters={"velocity": 50.0}))
    assert "velocity=nan" in refusal(replace(flow, parameters={"velocity": float("nan")}))
    assert "speed=1 is not on the card" in refusal(replace(flow, parameters={"speed": 1.0}))


def test_a_frozen_rollout_is_refused_even_if_the_context_moves():
    fine = sound("pdebench_swe")
    fields = fine.fields.copy()
    fields[9:] = fields[9]
    assert "frozen" in refusal(replace(fine, fields=fields))


def test_one_channel_that_moves_beside_a_large_one_is_enough():
    gas = sound("pdebench_cns_m0.1")
    fields = gas.fields.copy()
    fields[9:, 1:] = fields[9, 1:]
    fields[:, 3] *= 1e6
    check_trajectory(replace(gas, fields=fields), load_card(gas.corpus), CELLS)


def test_flow_inside_the_solid_is_refused():
    flow = sound("cfdbench")
    mask = np.ones((CELLS, CELLS), np.float32)
    mask[3, 3] = 0
    assert "inside the solid" in refusal(replace(flow, mask=mask))
    fields = flow.fields * mask
    check_trajectory(replace(flow, fields=fields, mask=mask), load_card("cfdbench"), CELLS)
