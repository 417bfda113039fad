"""What experts cost that were not chosen: a configuration in, counts out.

The work with all experts chosen is what a network would cost whose experts are all computed.
"""

from foundation.models.mixture import Mixture
from foundation.models.registry import ModelConfig, work_of
from foundation.models.work import Work


def dense_work_of(config: ModelConfig) -> Work:
    """Work of a forward pass on one sample if all of its experts were computed."""
    mixture = config.mixture
    if mixture is None:
        return work_of(config)
    return work_of(_choosing(config, mixture, mixture.router.num_experts))


def expert_work_of(config: ModelConfig) -> int:
    """FLOPs of one expert of every block in a forward pass on one sample; 0 of a dense network."""
    mixture = config.mixture
    if mixture is None:
        return 0
    one_more = _choosing(config, mixture, mixture.router.top_k + 1)
    return work_of(one_more).products - work_of(config).products


def _choosing(config: ModelConfig, mixture: Mixture, top_k: int) -> ModelConfig:
    router = mixture.router.model_copy(update={"top_k": top_k})
    return config.model_copy(update={"router": router})
