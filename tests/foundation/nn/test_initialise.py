"""Initial weights are a function of seed and path."""

import torch
from torch import nn

from foundation.nn.initialise import initialise


def bank(numbers: list[int]) -> nn.ModuleDict:
    return nn.ModuleDict({str(n): nn.Linear(4, 4) for n in numbers})


def test_a_module_starts_alike_whatever_its_neighbours():
    whole, part = bank([0, 1, 2, 3]), bank([2, 3])
    initialise(whole, seed=5)
    initialise(part, seed=5)
    for name in ("2", "3"):
        assert torch.equal(whole[name].weight, part[name].weight)
        assert torch.equal(whole[name].bias, part[name].bias)


def test_siblings_and_seeds_differ():
    first, second = bank([0, 1]), bank([0, 1])
    initialise(first, seed=5)
    initialise(second, seed=6)
    assert not torch.equal(first["0"].weight, first["1"].weight)
    assert not torch.equal(first["0"].weight, second["0"].weight)


@torch.no_grad()
def test_convolutions_start_as_widely_as_torchs():
    for module in (nn.Conv2d(12, 40, 3), nn.ConvTranspose2d(12, 40, 2)):
        torchs = [parameter.abs().max() for parameter in module.parameters()]
        initialise(module, seed=0)
        for parameter, width in zip(module.parameters(), torchs, strict=True):
            # the largest of 40 uniform draws and more: within a fifth of the bound
            torch.testing.assert_close(parameter.abs().max(), width, rtol=0.2, atol=0)


def test_linear_maps_are_uniform_within_their_fan():
    linear = nn.Linear(100, 400)
    initialise(linear, seed=0)
    assert linear.weight.abs().max() <= 0.1
    # a uniform law on (-b, b) has deviation b / sqrt(3); 40 000 draws, 1 %
    torch.testing.assert_close(linear.weight.std(), torch.tensor(0.1 / 3**0.5), rtol=1e-2, atol=0)
