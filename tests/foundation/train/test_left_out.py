"""Laws of what a run goes on without: counted one by one, and not beyond the limit."""

from foundation.train.left_out import LeftOut


def test_samples_and_updates_are_counted_apart_up_to_the_limit():
    left_out = LeftOut(most=2)
    first = left_out.add_samples(["toy/train-1 (u holds NaN)"])
    assert (first.what, first.value) == ("skipped_samples", 1)
    assert "toy/train-1 (u holds NaN); 1 of at most 2 since the start" in first.line
    assert left_out.add_samples(["a", "b"]).value == 3
    assert left_out.too_many_samples == "3 samples were left out, more than max_skipped=2"
    assert [left_out.add_update().value for _ in range(2)] == [1, 2]
    assert left_out.too_many_updates is None
    assert left_out.add_update().line.endswith("3 times since the start")
    assert left_out.too_many_updates == "3 gradients were not finite, more than max_skipped=2"
