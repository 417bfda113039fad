"""The rollout feeds predictions back and carries what is not predicted."""

from dataclasses import replace

import pytest
import torch

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.rollout import rollout
from foundation.models.types import Prediction


def doubling(frames: int):
    """A model whose next frames double the last one; knows nothing of masks."""

    def model(batch: Batch) -> Prediction:
        last = batch.given[:, -1:]
        future = torch.cat([last * 2 ** (n + 1) for n in range(frames)], dim=1)
        return Prediction(future, (), torch.zeros(len(batch), 1))

    return model


def batch() -> Batch:
    fields = torch.ones(2, 3, 2, 4, 4)
    asked_mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    valid = torch.ones(2, 1, 4, 4)
    valid[0, 0, 1, 2] = 0
    ids = torch.zeros(2, dtype=torch.int64)
    return Batch(fields, fields[:, :0], asked_mask, valid, ids, ("", ""))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_predictions_are_fed_back_whatever_the_frames_per_call(frames):
    out = rollout(doubling(frames), batch(), 5)
    assert out.shape == (2, 5, 2, 4, 4)
    expected = 2.0 ** torch.arange(1, 6)
    assert torch.equal(out[1, :, 1, 0, 0], expected)


def test_padded_channels_and_solid_cells_keep_the_contexts_values():
    out = rollout(doubling(1), batch(), 4)
    assert (out[0, :, 1] == 1).all()
    assert (out[0, :, 0, 1, 2] == 1).all()
    assert (out[0, -1, 0, 0, 0] == 16).all()


def test_what_never_was_finite_in_a_solid_cell_does_no_harm():
    dirty = batch()

    def model(b: Batch) -> Prediction:
        fields = b.given[:, -1:].clone()
        fields[0, :, 0, 1, 2] = torch.nan
        return Prediction(fields, (), torch.zeros(len(b), 1))

    assert torch.isfinite(rollout(model, dirty, 3)).all()


def test_a_gate_keeps_to_what_it_decided_by_the_given_frames():
    """By which last frame it decides, of contexts of three frames that end at 1, 2, 4, 8, ..."""
    decided_by = []

    def model(b: Batch) -> Prediction:
        seen = b.given if b.routed_by is None else b.routed_by
        decided_by.append(float(seen[1, -1, 0, 0, 0]))
        return doubling(1)(b)

    rollout(model, batch(), 4)
    rollout(model, replace(batch(), routed_by=batch().given + 6), 2)  # shown others from the start
    assert decided_by == [1, 1, 1, 1, 7, 7]


def test_the_batch_itself_is_left_alone():
    before = batch()
    rollout(doubling(1), before, 3)
    assert torch.equal(before.given, replace(batch()).given)


def answering(channels: int, frames: int):
    """A model of other channels: the mean of what it is given, doubled with every frame."""

    def model(batch: Batch) -> Prediction:
        mean = batch.given.mean((1, 2))[:, None, None]
        fields = torch.cat([mean * 2**n for n in range(frames)], dim=1)
        return Prediction(fields.repeat_interleave(channels, 2), (), torch.zeros(len(batch), 1))

    return model


@pytest.mark.parametrize("steps", [1, 2])
def test_what_is_asked_of_other_channels_comes_from_one_call(steps):
    asked = replace(batch(), asked_mask=torch.ones(2, 1))
    out = rollout(answering(1, 2), asked, steps)
    assert out.shape == (2, steps, 1, 4, 4)
    assert torch.equal(out[:, -1], asked.given.mean((1, 2))[:, None] * 2 ** (steps - 1))


def test_other_channels_cannot_be_fed_back():
    asked = replace(batch(), asked_mask=torch.ones(2, 3))
    with pytest.raises(UserError, match="3 frames wanted of a model that predicts 2 of other"):
        rollout(answering(3, 2), asked, 3)


@pytest.mark.parametrize("grid", [(1, 16), (2, 4, 2)])
def test_a_line_and_a_box_are_rolled_out_as_a_plane(grid):
    plane = batch()
    other = replace(
        plane,
        given=plane.given.reshape(2, 3, 2, *grid),
        valid_mask=plane.valid_mask.reshape(2, 1, *grid),
    )
    out = rollout(doubling(2), other, 5)
    assert torch.equal(out.flatten(3), rollout(doubling(2), plane, 5).flatten(3))
