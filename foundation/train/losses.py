"""Training losses: a prediction and its batch in, scalars out.

Axes: B samples; L blocks, E routed experts.
What is minimised is one sum: the objective (objectives.py), the network's own
terms by their ramps, the balance loss and that of the auxiliary head.
Source: MoE-POT, losses and optimiser.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.moe.balance import balance_loss, importance_of
from foundation.moe.router import of_blocks
from foundation.train.objectives import OBJECTIVES, LossConfig, relative_error


@dataclass(frozen=True)
class Losses:
    """Parts of the loss of one batch.

    Attributes:
        total: what is minimised, scalar.
        per_sample: relative L2 error of what is asked (B,), whatever is minimised, but of
            `objective=terms` the weighed terms; detached.
        balance: sum over blocks of the balance loss, unweighted, detached scalar.
        terms: the network's own, unweighted, per sample (B,), detached.
    """

    total: Tensor
    per_sample: Tensor
    balance: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


def losses_of(
    prediction: Prediction,
    batch: Batch,
    config: LossConfig,
    sum_over_ranks: Callable[[Tensor], Tensor],
    step: int = 0,
) -> Losses:
    """All parts of the loss of one batch.

    Args:
        prediction: of the model on `batch`.
        batch: with what is asked.
        config: objective, weights and kinds.
        sum_over_ranks: differentiable; makes importance that of the whole global
            batch, without which the loss would depend on the number of ranks.
        step: of the optimiser, from 0, by which terms are weighed.

    Raises:
        UserError: the configuration weighs a term that the network does not give.
    """
    minimised = OBJECTIVES[config.objective](prediction, batch, config)
    total = config.scale * minimised.mean()
    per_sample = minimised.detach()
    if config.terms:
        total = total + _weighed(prediction.terms, config, step)
    if not config.wants_fields:  # there may be none
        weighed = [ramp.at(step) * prediction.terms[n] for n, ramp in config.terms.items()]
        per_sample = torch.stack(weighed).sum(0).detach()
    elif config.objective != "relative_l2" or config.relative_to != "field":
        per_sample = relative_error(prediction.fields.detach(), batch, config.mask, "field")
    balance = total.new_zeros(())
    if prediction.routing:
        importance = importance_of(of_blocks(prediction.routing), config.balance)
        if config.balance_over == "batch":
            importance = sum_over_ranks(importance)
        balance = balance_loss(importance, config.balance).sum()
        total = total + config.balance_weight * balance
    if config.class_weight:
        classes = F.cross_entropy(prediction.class_logits, batch.corpus_id)
        total = total + config.class_weight * classes
    terms = {name: value.detach() for name, value in prediction.terms.items()}
    return Losses(total, per_sample, balance.detach(), terms)


def _weighed(terms: dict[str, Tensor], config: LossConfig, step: int) -> Tensor:
    """Means of the terms, weighed by their ramps and added up."""
    if missing := config.terms.keys() - terms.keys():
        raise UserError(
            f"loss.terms weighs {', '.join(sorted(missing))}, the network gives "
            f"{', '.join(sorted(terms)) or 'no terms'}; change loss.terms"
        )
    means = [ramp.at(step) * terms[name].mean() for name, ramp in config.terms.items()]
    return torch.stack(means).sum()
