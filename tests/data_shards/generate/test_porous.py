"""Laws of the porous corpus: media and drives in turn, and a stored flow that stays outside."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_shards.card import CorpusCard
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate import simulate
from data_shards.generate.porous import Drive, generate
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.verify import verify
from data_shards.shards.writer import write_corpus
from data_shards.stream.layout import ModelLayout, square
from data_shards.stream.stream import SampleStream, StreamConfig

CELLS = 12


@pytest.fixture(scope="module")
def card():
    whole = load_card("porous_3d")
    options = whole.generator_options | {"solver_resolution": CELLS, "spin_up": 0.2}
    few = {"frames": 6, "context_frames": 3, "rollout_frames": 3}
    return whole.model_copy(update={"generator_options": options, **few})


@pytest.fixture(scope="module")
def trajectories(card):
    return [simulate(card, split="train", index=i, seed=0, resolution=CELLS) for i in range(4)]


def test_media_and_drives_go_in_turn(trajectories):
    media = [t.parameters["medium"] for t in trajectories]
    assert media == ["spheres", "random_field"] * 2
    assert [t.parameters["period"] > 0 for t in trajectories] == [False, False, True, True]
    assert len({t.dt_s for t in trajectories}) == 4


def divergence(trajectory, cells=CELLS):
    u, v, w = (trajectory.fields[:, c].astype(np.float64) for c in range(3))
    pairs = ((u, 3), (v, 2), (w, 1))
    return sum((np.roll(field, -1, axis) - field) * cells for field, axis in pairs)


def test_stored_faces_have_no_divergence_and_nothing_flows_through_the_solid(trajectories):
    for trajectory in trajectories:
        largest = np.abs(trajectory.fields[:, :3]).max()
        assert np.abs(divergence(trajectory)).max() < 1e-6 * largest * CELLS  # of float32
        assert trajectory.mask.mean() == pytest.approx(trajectory.parameters["porosity"])
        for component, axis in enumerate((2, 1, 0)):
            solid = trajectory.mask == 0
            closed = solid | np.roll(solid, 1, axis)
            assert (trajectory.fields[:, component][:, closed] == 0).all()


def test_a_flow_that_starts_follows_its_drive_and_one_that_oscillates_turns(trajectories):
    for trajectory in trajectories:
        drive = [trajectory.parameters[f"drive_{axis}"] for axis in "xyz"]
        mean = trajectory.fields[:, :3].mean(axis=(2, 3, 4))
        along = mean @ drive / np.linalg.norm(drive)
        if trajectory.parameters["period"] == 0:
            assert (np.diff(along) > 0).all()
            assert along[0] > 0
        else:
            assert np.diff(along).min() < 0


def test_a_finer_solver_keeps_the_medium_and_is_coarsened_without_divergence(card):
    options = card.generator_options | {"solver_resolution": 2 * CELLS}
    finer = card.model_copy(update={"generator_options": options, "frames": 1})
    rough = card.model_copy(update={"frames": 1})
    fine, coarse = (
        generate(c, np.random.default_rng(3), index=1, resolution=CELLS) for c in (finer, rough)
    )
    np.testing.assert_array_equal(fine.mask, coarse.mask)
    assert fine.parameters == coarse.parameters
    assert fine.dt_s == coarse.dt_s
    difference = np.linalg.norm(fine.fields[:, :3] - coarse.fields[:, :3])
    assert 0.01 < difference / np.linalg.norm(fine.fields[:, :3]) < 0.5
    assert np.abs(divergence(fine)).max() < 1e-5


def test_a_drive_that_does_not_oscillate_is_constant():
    vector = np.array([1.0, 2.0, 3.0])
    steady, turning = Drive(vector, float("inf")), Drive(vector, 4.0)
    assert steady(0.0).flatten().tolist() == steady(7.0).flatten().tolist() == [1, 2, 3]
    torch.testing.assert_close(turning(2.0), -turning(0.0))
    assert turning(1.0).abs().max() < 1e-15


def test_the_result_does_not_depend_on_the_threads(card):
    one = simulate(card, split="test", index=1, seed=0, resolution=CELLS)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other = simulate(card, split="test", index=1, seed=0, resolution=CELLS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one.fields, other.fields)


def test_boxes_with_solids_go_through_writer_verifier_and_stream(tmp_path, card, trajectories):
    def those(first):
        return [replace(t) for t in trajectories[first:]]

    provenance = Provenance(producer="porous", version=1, seed=0)
    write_corpus(those, card, split="train", out=tmp_path, count=4, provenance=provenance)
    assert verify(tmp_path).ok
    corpus = ShardedCorpus.open(tmp_path, "porous_3d", "train")
    assert corpus.card.staggered == {"u": "x", "v": "y", "w": "z"}
    config = StreamConfig(context_frames=3, target_frames=1)
    layout = ModelLayout(grid=(CELLS,) * 3, channels=5)
    stream = SampleStream([corpus], config, layout)
    batch = next(stream.batches(0, 3))
    assert batch.given.shape == (3, 3, 5, CELLS, CELLS, CELLS)
    assert batch.asked_mask.tolist() == [[1, 1, 1, 1, 0]] * 3
    for row in range(3):
        sample = stream.plan.sample(row)
        truth = trajectories[sample.trajectory]
        given = truth.fields[sample.start : sample.start + 3]
        np.testing.assert_array_equal(batch.given[row, :, :4].numpy(), given)
        np.testing.assert_array_equal(batch.given[row, 0, 4].numpy(), truth.mask)
        np.testing.assert_array_equal(batch.valid_mask[row, 0].numpy(), truth.mask)
    with pytest.raises(UserError, match="porous_3d is three-dimensional, the model takes planes"):
        SampleStream([corpus], config, square(CELLS, 5))
    coarser = SampleStream([corpus], config, ModelLayout(grid=(8, 8, 8), channels=5))
    with pytest.raises(UserError, match="not resized to"):
        coarser.decode(0, 1)


def test_a_card_names_only_channels_as_staggered(card):
    values = card.model_dump() | {"staggered": {"u": "x", "q": "y"}}
    with pytest.raises(UserError, match=r"staggered \['q'\]: none of u, v, w, p"):
        CorpusCard.read(values, "card")
