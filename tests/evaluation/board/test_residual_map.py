"""The map of a residual: drawn with the faces of the boxes, kept with the record's samples."""

import re
from dataclasses import replace

import numpy as np
import pytest

from evaluation.board.page.residual_map import draw_residual
from evaluation.records.samples import Picture


def picture(shape: tuple[int, int, int], boxes: tuple[int, ...] | None) -> Picture:
    fields = np.ones((1, 1, *shape[1:]), np.float32)
    residual = np.random.default_rng(0).random(shape).astype(np.float32)
    known = None if boxes is None else np.array(boxes)
    return Picture(np.array([1]), fields, fields, fields[0, 0], residual, known)


def white_lines(drawing: str) -> int:
    return len(re.findall(r"stroke: #ffffff", drawing))


@pytest.mark.parametrize(
    ("shape", "boxes", "faces"),
    [
        ((31, 1, 32), None, 0),
        ((31, 1, 32), (1, 4), 3),
        ((31, 1, 32), (2, 4), 4),
        ((8, 32, 32), (1, 2, 2), 2),
        ((8, 32, 32), (4, 1, 1), 0),  # a split in time is no line in space
    ],
)
def test_a_line_stands_at_every_face(shape, boxes, faces):
    drawing = draw_residual(picture(shape, boxes), "some task")
    assert 'aria-label="residual over the domain on some task"' in drawing
    assert "<image" in drawing
    assert white_lines(drawing) == faces


def test_the_same_picture_is_the_same_drawing_and_another_another():
    one = picture((31, 1, 32), (1, 2))
    assert draw_residual(one, "t") == draw_residual(one, "t")
    changed = replace(one, residual=one.residual[::-1].copy())
    assert draw_residual(changed, "t") != draw_residual(one, "t")


def test_a_residual_that_is_not_finite_or_zero_is_drawn_too():
    for value in (0.0, np.inf, np.nan):
        still = replace(picture((4, 1, 8), (1, 2)), residual=np.full((4, 1, 8), value, np.float32))
        assert "<image" in draw_residual(still, "t")
