"""A network in the making stops at the first part too many, of whatever kind."""

from threading import Thread

import pytest
import torch
from torch import nn

from foundation.nn.counted import TooManyPartsError, at_most


class Counts(nn.Module):
    def __init__(self, buffers: int) -> None:
        super().__init__()
        for number in range(buffers):
            self.register_buffer(f"count{number}", torch.zeros(()))


@pytest.mark.parametrize(
    ("parts", "build"),
    [
        (6, lambda: nn.Sequential(nn.Linear(1, 1), nn.GELU(), nn.Linear(1, 1, bias=False))[0]),
        (4, lambda: Counts(4)),
        (6, lambda: nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})),
    ],
)
def test_modules_parameters_and_buffers_are_counted_alike(parts, build):
    with at_most(parts):
        build()
    with pytest.raises(TooManyPartsError), at_most(parts - 1):
        build()
    build()  # nobody counts any more


@pytest.mark.parametrize("kind", [nn.GELU, lambda: nn.Linear(1, 1)])
def test_what_would_take_forever_ends_at_once(kind):
    made = 0

    def endless():
        nonlocal made
        while True:
            made += 1
            yield kind()

    with pytest.raises(TooManyPartsError), at_most(100):
        nn.ModuleList(endless())
    assert made <= 101


def test_what_other_threads_build_is_their_own_business():
    built: list[nn.Module] = []
    with at_most(1):
        thread = Thread(target=lambda: built.append(nn.Linear(1, 1)))
        thread.start()
        thread.join()
    assert len(built) == 1
