"""Counts of a step and of expert usage, by hand."""

from dataclasses import replace

import pytest
import torch

from data_shards.stream.batch import Batch
from foundation.moe.router import Routing
from foundation.train.losses import Losses
from foundation.train.statistics import ExpertUsage, StepTotals, purity_of


def batch(ids: list[int]) -> Batch:
    count = len(ids)
    fields = torch.zeros(count, 1, 1, 1, 1)
    masks = torch.ones(count, 1), torch.ones(count, 1, 1, 1)
    return Batch(fields, fields, *masks, torch.tensor(ids), ("",) * count)


def losses(values: list[float], balance: float = 0.0) -> Losses:
    per_sample = torch.tensor(values)
    return Losses(per_sample.mean(), per_sample, torch.tensor(balance))


def test_totals_average_over_forwards_and_over_the_samples_of_a_corpus():
    totals = StepTotals(3)
    totals.add(losses([1.0, 3.0], 0.5), batch([0, 2]), False, lambda x: x)
    totals.add(losses([5.0, 7.0], 1.5), batch([0, 0]), False, lambda x: x)
    assert totals.loss == 4.0
    assert totals.balance == 1.0
    assert totals.corpus_means(["a", "b", "c"]) == pytest.approx({"a": 13 / 3, "c": 3.0})
    assert totals.finite
    assert not totals.stop


def test_one_rank_that_is_asked_to_stop_stops_all():
    totals = StepTotals(1)
    other = torch.tensor([2.0, 0.0, 1.0, 0.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    totals.add(losses([4.0]), batch([0]), False, lambda own: own + other)
    assert totals.stop
    assert totals.loss == 3.0
    assert totals.corpus_means(["a"]) == {"a": 3.0}


def test_terms_average_over_forwards_and_ranks():
    totals = StepTotals(2)
    for residual, energy in (([1.0, 3.0], [5.0, 5.0]), ([0.0, 2.0], [7.0, 9.0])):
        terms = {"residual": torch.tensor(residual), "energy": torch.tensor(energy)}
        both = replace(losses([1.0, 1.0]), terms=terms)
        totals.add(both, batch([0, 1]), False, lambda own: 2 * own)  # two ranks alike
    assert totals.term_means() == {"residual": 1.5, "energy": 6.5}
    assert totals.corpus_means(["a", "b"]) == {"a": 1.0, "b": 1.0}


def test_a_network_without_terms_has_no_means_of_them():
    totals = StepTotals(1)
    totals.add(losses([4.0]), batch([0]), False, lambda x: x)
    assert totals.term_means() == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_single_bad_sample_is_noticed(bad):
    totals = StepTotals(1)
    totals.add(losses([1.0, bad]), batch([0, 0]), False, lambda x: x)
    assert not totals.finite


def routing(experts: list[int]) -> Routing:
    logits = torch.zeros(len(experts), 4)
    chosen = torch.tensor(experts)[:, None]
    return Routing(logits, chosen, torch.ones(len(experts), 1))


def test_usage_is_the_share_of_each_expert_in_a_corpuss_routes():
    usage = ExpertUsage(2, torch.device("cpu"))
    usage.add([routing([0, 0, 3])], torch.tensor([0, 0, 1]))
    usage.add([routing([1, 3, 3])], torch.tensor([0, 1, 1]))
    shares, entropy = usage.reduce(lambda x: x)
    expected = torch.tensor([[[2 / 3, 1 / 3, 0, 0], [0, 0, 0, 1.0]]], dtype=torch.float64)
    torch.testing.assert_close(shares, expected)
    assert entropy == pytest.approx(torch.tensor(4.0).log().item())
    assert usage.reduce(lambda x: x) == (None, 0.0)


def test_purity_is_of_the_corpora_that_were_seen():
    apart = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    mixed = torch.tensor([[0.75, 0.25], [0.0, 0.0], [0.25, 0.75]])
    assert purity_of(torch.stack([apart, mixed])) == [1.0, 0.75]
    assert purity_of(torch.stack([apart[:2], mixed[:2]])) == []
