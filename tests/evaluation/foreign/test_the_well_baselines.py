"""The baselines of The Well beside its own rollout: formatter, normalisation and trainer.

Runs where the package and what its benchmark asks for are installed; version 1.2 was there, with
neuraloperator 0.3, which it wants.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from forecasts import forecast_of
from outside import outside
from test_stacked_frames import batch_of

from evaluation.foreign import ModelLayout, Units, stacked_frames
from evaluation.metrics.registry import find_measurement

models = outside("the_well.benchmark.models", "the-well")
training = outside("the_well.benchmark.trainer.training", "the-well")
formatters = outside("the_well.data.data_formatter", "the-well")
normalization = outside("the_well.data.normalization", "the-well")

pytestmark = pytest.mark.filterwarnings("ignore")

FRAMES, FIELDS, X, Y = 4, ["density", "pressure"], 32, 64
SIZE = {"dim_in": FRAMES * 2, "dim_out": 2, "n_spatial_dims": 2, "spatial_resolution": (X, Y)}
SMALL = {
    "FNO": {"modes1": 8, "modes2": 8, "hidden_channels": 16},
    "TFNO": {"modes1": 8, "modes2": 8, "hidden_channels": 16},
    "UNetClassic": {"init_features": 8},
    "UNetConvNext": {"init_features": 8},
    "DilatedResNet": {"hidden_dim": 8, "blocks": 2},
    "ReFNO": {"hidden_dim": 16, "blocks": 2},
    "AFNO": {"hidden_dim": 32, "n_blocks": 2, "cmlp_diagonal_blocks": 4},
    "AViT": {"hidden_dim": 48, "num_heads": 4, "processor_blocks": 2},
}
CHANNELS_LAST = ("ReFNO", "AFNO", "AViT")
STATS = {
    "mean": {"density": 2.0, "pressure": -1.0},
    "std": {"density": 0.5, "pressure": 4.0},
    "mean_delta": {"density": 0.1, "pressure": 0.0},
    "std_delta": {"density": 0.2, "pressure": 0.7},
}


def figures(name: str) -> list[float]:
    return [STATS[name][field] for field in FIELDS]


def their_rollout(network, context_BTXYC, steps: int, last: bool, delta: bool):
    """By the trainer's own function; the trainer itself is not made, for it wants data."""
    trainer = training.Trainer.__new__(training.Trainer)
    trainer.device, trainer.max_rollout_steps = torch.device("cpu"), steps
    trainer.is_delta = delta
    trainer.dset_norm = normalization.ZScoreNormalization(STATS, FIELDS, [])
    kind = "DefaultChannelsLastFormatter" if last else "DefaultChannelsFirstFormatter"
    formatter = getattr(formatters, kind)(None)
    truth = torch.zeros(len(context_BTXYC), steps, X, Y, 2)
    batch = {"input_fields": context_BTXYC.clone(), "output_fields": truth}
    return trainer.rollout_model(network, batch, formatter, train=False)[0]


@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_a_rollout_is_that_of_the_authors_own_trainer(name, delta, generator):
    with torch.random.fork_rng():
        torch.manual_seed(5)  # their layers draw from the global generator
        network = getattr(models, name)(**SIZE, **SMALL[name]).eval()
    context = torch.randn(2, FRAMES, 2, Y, X, generator=generator)  # ours: (B, T, C, y, x)
    theirs = their_rollout(network, context.permute(0, 1, 4, 3, 2), 3, name in CHANNELS_LAST, delta)
    increments = (figures("mean_delta"), figures("std_delta")) if delta else ()
    ours = stacked_frames(
        network,
        ModelLayout(grid=(Y, X), channels=2),
        context_frames=FRAMES,
        units=Units(figures("mean"), figures("std"), *increments),
        increment=delta,
        x_first=True,
        channels_last=name in CHANNELS_LAST,
    ).answer(batch_of(context), 3)
    assert theirs.std() > 0.01  # not a constant
    torch.testing.assert_close(ours.permute(0, 1, 4, 3, 2), theirs, rtol=1e-5, atol=1e-5)


def test_vrmse_of_some_frames_is_the_mean_of_their_own_metric(generator):
    metrics = outside("the_well.benchmark.metrics", "the-well")
    pred, true = torch.randn(2, 2, 6, 3, 8, 8, generator=generator)
    forecast = forecast_of(pred, true)
    well = replace(forecast, setting=replace(forecast.setting, vrmse="the_well"))
    ours = find_measurement("vrmse_frames_2_5").measure(well)
    x, y = (fields[:, 1:5].movedim(2, -1) for fields in (pred, true))
    theirs = metrics.VRMSE.eval(x, y, SimpleNamespace(n_spatial_dims=2)).mean((1, 2))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
