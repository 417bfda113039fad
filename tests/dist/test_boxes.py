"""Boxes on two ranks are those of one, in losses and gradients."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from constrained import constrained_config, constrained_network, first_frames
from group import on_ranks
from traffic import SentBytes

from data_shards.stream.batch import Batch
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.expert_parallel import spread_experts
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.plan.step_time import EXCHANGES_OF_BOXES
from foundation.plan.traffic import Spread, traffic_of
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

pytestmark = pytest.mark.dist

COUNT = 4
CASES = [
    ("fno", "burgers", "anchored"),
    ("fno", "diffusion_sorption", "free"),
    ("moe_pot", "vorticity", "free"),
]


def part(batch: Batch, rank: int, world: int) -> Batch:
    """Samples of one rank, in float64."""
    rows = slice(rank * COUNT // world, (rank + 1) * COUNT // world)
    tensors = ("asked_mask", "valid_mask", "corpus_id")
    return replace(
        batch,
        given=batch.given[rows].double(),
        asked=batch.asked[rows].double(),
        keys=batch.keys[rows],
        origins=batch.origins[rows],
        **{name: getattr(batch, name)[rows] for name in tensors},
    )


def learn(name: str, equation: str, faces: str, ep_size: int) -> dict:
    """Loss and gradients of one step, as the mean over ranks, and what the boxes told."""
    ranks = join_ranks()
    options = {"points": 600, "learnt_frames": 3, "overlap": 1, "faces": faces}
    network = constrained_network(name, equation, **options).double()
    spread_experts(network, ep_size)
    network.at_step(3)
    own = part(first_frames(equation, COUNT), ranks.rank, ranks.world)
    prediction = network(own)
    config = LossConfig(objective="residual", balance_weight=0)
    loss = losses_of(prediction, own, config, sum_over_ranks).total
    loss.backward()
    gradients = {}
    for path, parameter in network.named_parameters():
        if parameter.grad is not None and "deepspeed_experts" not in path:
            gradients[path] = sum_over_ranks(parameter.grad) / ranks.world
    total = float(sum_over_ranks(loss.detach()) / ranks.world)
    kind = type(network.constraint.boxes).__name__
    leave_ranks()
    terms = {key: value.detach() for key, value in prediction.terms.items()}
    return {"loss": total, "gradients": gradients, "terms": terms, "kind": kind}


@pytest.mark.parametrize(("name", "equation", "faces"), CASES)
def test_boxes_spread_over_two_ranks_give_the_losses_and_gradients_of_one(name, equation, faces):
    (serial,) = on_ranks(1, learn, name, equation, faces, 1)
    both = on_ranks(2, learn, name, equation, faces, 2)
    assert serial["kind"] == "BoxBank"
    assert both[0]["kind"] == "ParallelBoxBank"
    for one in both:
        assert one["loss"] == pytest.approx(serial["loss"], rel=1e-8)
        assert one["gradients"].keys() <= serial["gradients"].keys()
        largest = max(float(g.abs().max()) for g in serial["gradients"].values())
        for path, gradient in one["gradients"].items():
            torch.testing.assert_close(
                gradient, serial["gradients"][path], rtol=1e-8, atol=1e-8 * largest, msg=path
            )
    for term in serial["terms"].keys() - {"iterations"}:  # round-off may ask for one more
        values = serial["terms"][term]
        told = torch.cat([one["terms"][term] for one in both])
        torch.testing.assert_close(told, values, rtol=1e-8, atol=1e-12)
    assert (serial["terms"]["iterations"] > 0).all()
    assert constrained_config(name, equation).num_boxes == 4


def sent_by_boxes(equation: str, faces: str) -> tuple[float, int]:
    """Bytes and calls of exchanges that one rank makes, forward and backward."""
    ranks = join_ranks()
    options = {"points": 200, "learnt_frames": 3, "faces": faces}
    network = constrained_network("fno", equation, **options).double()
    spread_experts(network, ranks.world)
    own = part(first_frames(equation, COUNT), ranks.rank, ranks.world)
    calls, plain = [], dist.all_to_all_single

    def counted(*arguments, **options):
        calls.append(1)
        return plain(*arguments, **options)

    dist.all_to_all_single = counted
    with SentBytes() as sent:
        network(own).terms["residual"].sum().backward()
    dist.all_to_all_single = plain
    leave_ranks()
    return sum(size for (kind, _), size in sent.seen.items() if "alltoall" in kind), len(calls)


@pytest.mark.parametrize(
    ("equation", "faces"), [("diffusion_sorption", "free"), ("vorticity", "anchored")]
)
def test_boxes_send_the_bytes_and_as_often_as_a_plan_counts(equation, faces):
    config = constrained_config("fno", equation, points=200, learnt_frames=3, faces=faces)
    planned = traffic_of(config, 0, 0, Spread(2, 2, 1, False, COUNT // 2)).exchange
    assert on_ranks(2, sent_by_boxes, equation, faces) == [(planned, EXCHANGES_OF_BOXES)] * 2
