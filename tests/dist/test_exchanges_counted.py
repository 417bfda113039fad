"""A plan's number of exchanges is that of an expert-parallel bank at work."""

import pytest
from group import on_ranks

from foundation.plan.step_time import EXCHANGES_BACKWARD, EXCHANGES_FORWARD

pytestmark = pytest.mark.dist


def exchanges(recompute: bool) -> tuple[int, int]:
    """Calls of all-to-all that one block makes, forward and with backward."""
    import torch
    import torch.distributed as dist
    from deepspeed.utils import groups
    from torch.utils.checkpoint import checkpoint

    from foundation.moe.mixture import MixtureOfExperts
    from foundation.moe.router import RouterConfig
    from foundation.parallel.expert_parallel import ExpertParallelBank, spread_experts
    from foundation.parallel.launch import join_ranks

    join_ranks()
    torch.manual_seed(0)
    block = MixtureOfExperts(8, 8, 1, RouterConfig(num_experts=4, top_k=2))
    spread_experts(block, 2)
    groups._create_expert_and_data_parallel(2)
    for module in block.modules():
        if isinstance(module, ExpertParallelBank):
            module.deepspeed_moe._set_ep_group(groups._get_expert_parallel_group("ep_size_2"))
    calls, plain = [], dist.all_to_all_single

    def counted(*arguments, **options):
        calls.append(1)
        return plain(*arguments, **options)

    dist.all_to_all_single = counted
    x = torch.randn(4, 6, 8, requires_grad=True)
    if recompute:
        out = checkpoint(lambda x: block(x, 1.0)[0], x, use_reentrant=False)
    else:
        out = block(x, 1.0)[0]
    forward = len(calls)
    out.sum().backward()
    return forward, len(calls) - forward


@pytest.mark.parametrize("recompute", [False, True])
def test_a_block_exchanges_as_often_as_a_plan_counts(recompute):
    again = EXCHANGES_FORWARD if recompute else 0
    expected = (EXCHANGES_FORWARD, EXCHANGES_BACKWARD + again)
    assert on_ranks(2, exchanges, recompute) == [expected] * 2
