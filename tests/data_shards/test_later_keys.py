"""Keys that join a configuration: silent at their default, heard otherwise."""

import pytest

from data_shards.config import Config, later
from data_shards.hashing import digest


class Yesterday(Config):
    width: int = 3


class Part(Yesterday):
    depth: int = later(2)
    groups: tuple[str, ...] = later(())


class Whole(Config):
    part: Part = Part()
    others: tuple[Part, ...] = ()


def test_a_later_key_at_its_default_moves_no_hash_and_another_value_does():
    assert digest(Part().canonical()) == digest(Yesterday().canonical())
    for changed in (Part(depth=3), Part(groups=("a",)), Part(width=4)):
        assert digest(changed.canonical()) != digest(Yesterday().canonical())


def test_a_key_of_the_first_day_is_always_told():
    assert Yesterday().canonical() == {"width": 3}


@pytest.mark.parametrize("depth", [2, 5])
def test_later_keys_are_found_however_deep(depth):
    told = {"width": 3} if depth == 2 else {"width": 3, "depth": 5}
    part = Part(depth=depth)
    assert Whole(part=part, others=(Part(), part)).canonical() == {
        "part": told,
        "others": [{"width": 3}, told],
    }


def test_the_plain_dump_still_holds_every_key():
    assert Part().model_dump() == {"width": 3, "depth": 2, "groups": ()}


def test_a_later_key_keeps_its_constraints():
    class Bounded(Config):
        share: float = later(0.5, ge=0.0)

    with pytest.raises(Exception, match=r"share.*greater than or equal to 0"):
        Bounded.read({"share": -1.0}, "test")


def test_the_order_of_keys_moves_no_digest():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
