"""Initial weights are a function of seed and path."""

from dataclasses import replace

import pytest
import torch
from architectures import config_of
from torch import nn

from data_shards.errors import UserError
from foundation.models import registry
from foundation.models.fno import FNO
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


class Scaled(nn.Module):
    """A bare parameter and a count, with a rule for both or for neither."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


class Ruled(Scaled):
    def reset(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.scale.normal_(generator=generator)
            self.count.zero_()


class HalfRuled(Scaled):
    def reset(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.scale[:2].normal_(generator=generator)
            self.count.zero_()


class Uncounted(Scaled):
    def reset(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.scale.normal_(generator=generator)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Scaled, r"1\.scale \(and 1 more\)"), (HalfRuled, "scale"), (Uncounted, "count")],
)
def test_what_no_rule_reached_is_refused_by_name(kind, name):
    model = nn.Sequential(nn.Linear(2, 3), kind())
    with pytest.raises(UserError, match=rf"{name}.*`reset\(generator\)` on {kind.__name__}"):
        initialise(model, seed=0)


def test_a_rule_of_ones_own_is_enough():
    first, second, other = (nn.Sequential(Ruled()) for _ in range(3))
    for model, seed in ((first, 1), (second, 1), (other, 2)):
        initialise(model, seed)
    assert torch.equal(first[0].scale, second[0].scale)
    assert not torch.equal(first[0].scale, other[0].scale)
    assert first[0].count == 0


TORCHS = [
    *(lambda: nn.Conv1d(3, 4, 3), lambda: nn.Conv3d(3, 4, 2), lambda: nn.ConvTranspose1d(3, 4, 2)),
    *(lambda: nn.ConvTranspose3d(3, 4, 2), lambda: nn.Embedding(7, 3, padding_idx=2)),
    *(lambda: nn.RMSNorm(5), lambda: nn.BatchNorm1d(4), lambda: nn.BatchNorm3d(4)),
    *(lambda: nn.InstanceNorm2d(4, affine=True), lambda: nn.Bilinear(2, 3, 4), lambda: nn.PReLU()),
    *(lambda: nn.LSTM(3, 4, 2), lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True)),
    *(lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=6), lambda: nn.Linear(2, 3, bias=False)),
    lambda: nn.TransformerEncoderLayer(8, 2, 16),
]


@pytest.mark.parametrize("make", TORCHS)
def test_torchs_modules_start_as_torch_would_start_them_whatever_was_there(make):
    """Of the same spread; the same values whatever memory held, without touching torch's seed."""
    first, second = make(), make()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    initialise(first, seed=4)
    for tensor in second.state_dict().values():
        tensor.fill_(9)
    initialise(second, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    torchs = make().state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
        # what torch draws has another sample here, what torch sets has the same value
        drawn = torchs[name].numel() > 1 and torchs[name].float().std() > 0
        assert drawn or torch.equal(tensor, torchs[name]), name
        largest, usual = tensor.abs().max().float(), torchs[name].abs().max().float()
        assert largest <= 4 * usual + 1e-9, name
        assert usual <= 4 * largest + 1e-9, name


def test_what_a_checkpoint_does_not_hold_is_filled_even_for_loading(monkeypatch):
    class Gridded(FNO):
        def __init__(self, config):
            super().__init__(config)
            self.register_buffer("grid", torch.empty(1000), persistent=False)

        def reset(self, generator):
            self.grid.copy_(torch.arange(1000.0))

    architecture = replace(registry.ARCHITECTURES["fno"], network=Gridded)
    monkeypatch.setitem(registry.ARCHITECTURES, "fno", architecture)
    assert torch.equal(registry.build_model(config_of("fno")).grid, torch.arange(1000.0))


def test_parameters_that_modules_share_are_not_parted_silently(monkeypatch):
    class Tied(FNO):
        def __init__(self, config):
            super().__init__(config)
            self.layers[1].local.weight = self.layers[0].local.weight

    architecture = replace(registry.ARCHITECTURES["fno"], network=Tied)
    monkeypatch.setitem(registry.ARCHITECTURES, "fno", architecture)
    with pytest.raises(UserError, match="fno: modules share a parameter"):
        registry.build_model(config_of("fno"), 0)
