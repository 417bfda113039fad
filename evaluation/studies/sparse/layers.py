"""What routing costs: processor seconds of a layer and of a training step, beside the dense ones.

    python evaluation/studies/sparse/layers.py > layers.json      # one core, alone

Forward and backward on 16 samples of 64 x 64, nine rounds in turns; ratios are medians of those
of the rounds.
"""

import json
import time
from collections.abc import Callable
from statistics import median

import torch

from data_shards.memory import keep_freed_memory
from data_shards.stream.batch import Batch
from foundation.models import fno, moe_fno
from foundation.models.registry import build_model
from foundation.nn.initialise import initialise
from foundation.train.config import load_run_config

ROUNDS, SAMPLES = 9, 16
PRESETS = ("nano_fno", "nano_moe_fno", "nano_unet", "nano", "nano_dpot")
ROUTED = {f"{e} experts, {m} modes": (e, m) for m in (9, 5) for e in (16, 32, 64)}


def of_layer(layer: torch.nn.Module, *more: torch.Tensor) -> Callable[[], None]:
    """A pass there and back."""
    initialise(layer, 0)
    x = torch.randn(SAMPLES, 64, 64, 20)

    def run() -> None:
        out = layer(x.clone().requires_grad_(), *more)
        (out if isinstance(out, torch.Tensor) else out[0]).square().sum().backward()
        layer.zero_grad()

    return run


def of_step(preset: str) -> Callable[[], None]:
    """A training step: network, loss and Adam."""
    model = build_model(load_run_config(preset, []).model, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
    fields, masks = torch.randn(SAMPLES, 10, 4, 64, 64), (torch.ones(SAMPLES, 4), torch.ones(1))
    corpora = torch.zeros(SAMPLES, dtype=torch.int64)
    batch = Batch(fields, fields[:, :5], *masks, corpora, ("",) * SAMPLES)

    def run() -> None:
        model(batch).fields.square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def in_turns(ways: dict[str, Callable[[], None]], dense: str) -> dict[str, dict[str, float]]:
    """Median milliseconds of every way, and in those of the dense one."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.thread_time()
            run()
            seconds[name].append(time.thread_time() - start)
    return {
        name: {
            "milliseconds": round(1e3 * median(own), 1),
            "of_dense": round(median(a / b for a, b in zip(own, seconds[dense], strict=True)), 2),
        }
        for name, own in seconds.items()
    }


def main() -> None:
    """Measure, and print the record."""
    torch.set_num_threads(1)
    keep_freed_memory()
    dense = fno.FNOConfig(resolution=64, width=20, modes=9)
    layers = {"dense": of_layer(fno.Layer(dense, last=False))}
    for name, (experts, modes) in ROUTED.items():
        config = moe_fno.MoEFNOConfig(
            resolution=64, width=20, modes=9, routed_modes=modes, router={"num_experts": experts}
        )
        layers[name] = of_layer(moe_fno.Layer(config, last=False), torch.tensor(0.5))
    steps = {preset: of_step(preset) for preset in PRESETS}
    found = {"layers": in_turns(layers, "dense"), "steps": in_turns(steps, "nano_fno")}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
