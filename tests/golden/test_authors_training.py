"""Ten steps of the faithful preset are ten steps of the authors' program.

Their network, losses, Adam and schedule (MoE-POT, commit c36ec22) were run on batches and weights
of `prepared_flows`, without noise, whose random numbers are torch's own.
"""

import json
from pathlib import Path

import pytest
import torch
from prepared_flows import CONFIG, fingerprint, published_weights, training_batch

from data_shards.stream.batch import Batch
from foundation.models.moe_pot import MoEPOT
from foundation.models.registry import build_model
from foundation.parallel.engine import resolve_deepspeed_config
from foundation.published.names import from_published, to_published
from foundation.train.config import load_run_config
from foundation.train.losses import losses_of

THEIRS = json.loads((Path(__file__).parent / "authors.json").read_text())["training"]
SIZES = ("resolution", "patch", "width", "blocks", "heads", "mlp_ratio", "head_width", "modes")
ROUND_OFF = 5e-6  # of float32, sums in another order, through ten steps
# A bias before a batch norm has no gradient but round-off, divided by itself in Adam; the running
# mean holds that bias.
WITHOUT_GRADIENT = ("gate.0.bias", "gate.4.bias", "running_mean")


def faithful(preset: str = "tiny", *overrides: str):
    sizes = [f"model.{name}={getattr(CONFIG, name)}" for name in SIZES]
    steps = ["steps=10", "global_batch=6", "loss.scale=6", "loss.noise=0"]  # 6 samples, not 20
    return load_run_config(preset, [*sizes, *steps, *overrides])


def batch_of(step: int) -> Batch:
    given, asked = training_batch(step)
    count, _, channels, *grid = given.shape
    masks = torch.ones(count, channels), torch.ones(count, 1, *grid)
    return Batch(given, asked, *masks, torch.arange(count), ("",) * count)


def trained(run):
    """Losses, balance, rates and gradients by step, and the weights after the last."""
    network = build_model(run.model, seed=0)
    assert isinstance(network, MoEPOT)
    weights = from_published(published_weights())
    network.load_state_dict({**network.state_dict(), **weights})
    optimiser = adam_of(run, network)
    rows = []
    for step in range(run.steps):
        network.at_step(step)
        lr = run.schedule.at(step, run.steps, run.optimiser.lr)
        beta = run.schedule.beta_at(step, run.steps, run.optimiser.betas[0])
        optimiser.param_groups[0].update(lr=lr, betas=(beta, run.optimiser.betas[1]))
        batch = batch_of(step)
        losses = losses_of(network.train()(batch), batch, run.loss, lambda value: value, step)
        optimiser.zero_grad()
        losses.total.backward()
        norm = torch.nn.utils.get_total_norm(
            [p.grad for p in network.parameters() if p.grad is not None]
        )
        optimiser.step()
        loss = float(losses.per_sample.sum())
        rows.append((loss, float(losses.balance), lr, beta, float(norm)))
    return rows, to_published(network.state_dict(), CONFIG)


def adam_of(run, network):
    """What DeepSpeed makes of the run's own optimiser."""
    asked = resolve_deepspeed_config({}, run.step_on(1))["optimizer"]
    params = dict(asked["params"])
    assert params.pop("torch_adam")
    decoupled = asked["type"] == "AdamW" or params.pop("adam_w_mode", True)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(network.parameters(), **params)


def test_ten_steps_are_those_of_the_authors_program():
    rows, weights = trained(faithful())
    for ours, theirs in zip(rows, THEIRS["steps"], strict=True):
        wanted = [theirs[key] for key in ("loss", "balance", "lr", "beta1", "gradient")]
        assert ours == pytest.approx(wanted, rel=ROUND_OFF)
    assert furthest(weights) < ROUND_OFF


def furthest(weights) -> float:
    """Largest difference of a tensor's norm, or of its fingerprint, over its norm."""
    far = 0.0
    for name, (norm, product) in fingerprint(weights).items():
        if not name.endswith(WITHOUT_GRADIENT):
            wanted, wanted_product = THEIRS["weights"][name]
            missed = max(abs(norm - wanted), abs(product - wanted_product))
            far = max(far, missed / max(wanted, 1e-3))
    return far


@pytest.mark.parametrize(
    "departure",
    [
        "optimiser.decay=decoupled",
        "schedule.momentum=null",
        "loss.balance=cv2",
        "loss.balance_weight=0",
        "loss.scale=1",
    ],
)
def test_every_departure_shows(departure):
    _, weights = trained(faithful("tiny", departure))
    assert furthest(weights) > 20 * ROUND_OFF
