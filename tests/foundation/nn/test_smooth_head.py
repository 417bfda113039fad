"""The head without a grid, beside the published one, as nobody trained them yet."""

import torch

from foundation.nn.initialise import initialise
from foundation.nn.patch import PatchHead, SmoothHead

WIDTH, BETWEEN, PATCH, SIDE = 16, 8, 4, 16


def test_features_that_are_the_same_everywhere_make_no_pattern_and_in_the_published_head_do(
    generator,
):
    same = torch.randn(1, 1, 1, WIDTH, generator=generator).expand(1, SIDE, SIDE, WIDTH)
    frames = torch.ones(1, 3, SIDE * PATCH, SIDE * PATCH)
    published, head = PatchHead(WIDTH, BETWEEN, 1, PATCH), SmoothHead(WIDTH, BETWEEN, 3, 1, PATCH)
    for module in (published, head):
        initialise(module, 0)
    with torch.no_grad():
        assert published(same).std() > 0.01
        inside = head(same, frames)[..., 2:-2, 2:-2]  # the convolutions see zeros around
        assert inside.std() < 1e-6


def test_what_varies_within_a_patch_comes_from_the_frames(generator):
    head = SmoothHead(WIDTH, BETWEEN, 3, 1, PATCH)
    initialise(head, 0)
    features = torch.randn(1, SIDE, SIDE, WIDTH, generator=generator)
    frames = torch.zeros(1, 3, SIDE * PATCH, SIDE * PATCH)
    moved = frames.clone()
    moved[..., 20, 30] = 1.0
    with torch.no_grad():
        change = (head(features, moved) - head(features, frames)).abs()[0, 0]
    rows, columns = change.nonzero(as_tuple=True)
    # Two convolutions of three cells reach two cells far.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (18, 22, 28, 32)
