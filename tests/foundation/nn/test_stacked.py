"""Stacked modules are, to everybody who reads or writes a state dict, a list of modules."""

import copy

import pytest
import torch
from torch import nn

from foundation.moe.experts import Experts
from foundation.nn.counted import TooManyPartsError, at_most
from foundation.nn.initialise import initialise

NUMBER, FEATURES, WIDTH = 5, 6, 4


class Listed(nn.Module):
    """The same maps in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(FEATURES, WIDTH) for _ in range(NUMBER))
        self.after = nn.Linear(WIDTH, 1)


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts(NUMBER, FEATURES, WIDTH)
        self.after = nn.Linear(WIDTH, 1)


def test_it_starts_and_is_saved_as_a_list_of_the_same_modules():
    listed, stack = Listed(), Stack()
    for model in (listed, stack):
        initialise(model, seed=3)
    ours, theirs = stack.state_dict(), listed.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_what_was_saved_from_a_list_is_loaded_and_the_other_way_round():
    listed, stack = Listed(), Stack()
    kept = copy.deepcopy(listed.state_dict())
    stack.load_state_dict(kept)
    assert sorted(kept) == sorted(listed.state_dict()), "what is loaded is left as it is"
    assert torch.equal(stack.experts.weight[3], listed.experts[3].weight)
    again = Listed()
    again.load_state_dict(stack.state_dict())
    assert torch.equal(again.experts[4].bias, listed.experts[4].bias)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state.pop("experts.2.bias"), "Missing"),
        (lambda state: state.update({"experts.5.bias": torch.zeros(WIDTH)}), "Unexpected"),
        (lambda state: state.update({"experts.1.weight": torch.zeros(1, 1)}), "Missing"),
        (
            lambda state: state.update(
                {f"experts.{n}.bias": torch.zeros(WIDTH + 1) for n in range(NUMBER)}
            ),
            "size mismatch",
        ),
    ],
)
def test_loading_is_strict(spoil, said):
    state = Listed().state_dict()
    spoil(state)
    with pytest.raises(RuntimeError, match=said):
        Stack().load_state_dict(state)


def test_a_part_keeps_the_numbers_and_values_of_its_modules():
    stack = Stack()
    initialise(stack, seed=0)
    whole = stack.experts.weight.detach().clone()
    part = stack.experts.part(2, 3)
    assert (part.first, len(part)) == (2, 3)
    assert torch.equal(part.weight, whole[2:])
    initialise(stack, seed=0)
    assert torch.equal(part.weight, whole[2:]), "they start as they would among all"


def test_what_state_dicts_tell_apart_counts_as_parts():
    """A configuration could ask for any number, without memory on torch's `meta` device."""
    with torch.device("meta"), at_most(100):
        Experts(90, FEATURES, WIDTH)
    with torch.device("meta"), pytest.raises(TooManyPartsError), at_most(100):
        Experts(10**9, FEATURES, WIDTH)
