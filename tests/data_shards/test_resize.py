"""Law: resizing agrees with torch's bilinear interpolation, whatever the shapes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from data_shards.resize import resize_into


@pytest.mark.parametrize(
    ("source", "result"),
    [((8, 8), (16, 16)), ((8, 8), (5, 7)), ((64, 48), (128, 128)), ((1, 40), (16, 16))],
)
def test_agrees_with_torch(source, result):
    frames = np.random.default_rng(0).normal(size=(3, 2, *source)).astype(np.float32)
    frames.flags.writeable = False
    out = np.full((3, 4, *result), np.nan, np.float32)
    resize_into(out[:, 1:3], frames)
    expected = interpolate(torch.tensor(frames), result, mode="bilinear", align_corners=False)
    # A handful of float32 operations on values of order one.
    np.testing.assert_allclose(out[:, 1:3], expected.numpy(), rtol=0, atol=2e-6)
    assert np.isnan(out[:, [0, 3]]).all()  # the neighbours in the batch are not touched
