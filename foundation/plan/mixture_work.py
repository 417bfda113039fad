"""What experts cost that were not chosen: a configuration in, counts out.

The work with all experts chosen is what a network would cost whose experts are all computed.
"""

from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.registry import ModelConfig, work_of
from foundation.models.work import Work


def dense_work_of(config: ModelConfig) -> Work:
    """Work of a forward pass on one sample if all of its experts were computed."""
    if isinstance(config, MoEPOTConfig):
        router = config.router.model_copy(update={"top_k": config.router.num_experts})
        config = config.model_copy(update={"router": router})
    return work_of(config)


def expert_work_of(config: MoEPOTConfig) -> int:
    """FLOPs of one expert of every block in a forward pass on one sample."""
    router = config.router.model_copy(update={"top_k": config.router.top_k + 1})
    one_more = config.model_copy(update={"router": router})
    return work_of(one_more).products - work_of(config).products
