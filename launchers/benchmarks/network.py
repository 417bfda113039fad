"""Whole networks: training steps and forecasts, against the published formulation.

A step is forward, loss, backward and optimiser: ours in DeepSpeed's engine as in a run, the
published form with torch's Adam as there, in a process of its own. Yardsticks besides: float32;
the time that the step's own products would take at the rate of one large product, measured in
the same rounds; the authors' own code, where it is at hand.
All steps have a learning rate of 0: on a batch that never changes, all samples would meet on
the same few experts within some steps, which flatters what computes the chosen ones alone.
"""

import gc
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_shards.stream.batch import Batch
from foundation.models.moe_pot import Block, MoEPOT, MoEPOTConfig
from foundation.models.registry import build_model
from foundation.moe.router import RouterConfig
from foundation.nn.compiled import compile_network
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.launch import join_ranks
from foundation.parallel.layout import OptimiserConfig, StepConfig
from foundation.plan.cost import cost_of
from foundation.train.config import load_run_config
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig
from launchers.benchmarks.own_process import in_own_process
from launchers.benchmarks.published_code import published_code_loss
from launchers.benchmarks.published_form import PublishedForm
from launchers.benchmarks.samples import random_batch, spread_routes
from launchers.benchmarks.tensor_bytes import most_bytes
from launchers.benchmarks.timing import Figure, Way, at_least, at_most, in_turns, ratio

# Of the product that tells the machine's rate: one that it is busy with for long enough.
_SIDES = {"cpu": 2048, "cuda": 8192}


def config_of(preset: str, num_experts: int = 16, **values: Any) -> MoEPOTConfig:
    """A preset's network, perhaps with another number of experts."""
    config = load_run_config(preset, []).model
    assert isinstance(config, MoEPOTConfig)
    return config.model_copy(update={"router": RouterConfig(num_experts=num_experts), **values})


def network_figures(
    device: torch.device, rounds: int, authors: Path | None = None, samples: int = 8
) -> list[Figure]:
    """Steps of tiny, of medium's blocks, and with many experts; all on this one process.

    Args:
        device: where.
        rounds: how often.
        authors: a clone of the authors' code, to be timed as well.
        samples: of a batch.
    """
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    with ExitStack() as processes:

        def alone(make: Callable[..., Way], *arguments: object) -> Way:
            return processes.enter_context(in_own_process(make, *arguments, samples, device))

        ways = {
            "published": alone(_published_training),
            "fp32": engine_step(spread(config, batch, device), batch, bf16=False),
            "bf16": engine_step(spread(config, batch, device), batch, bf16=True),
            "product": _large_product(torch.bfloat16, device),
        }
        if authors is not None:
            ways["authors"] = alone(_authors_training, authors)
        seconds = in_turns(ways, rounds, device)
    flops = samples * cost_of(config, 1, 1, 1, True, samples).flops_step
    own = flops / _large_flops(device)  # large products with the step's FLOPs
    where = f"tiny, batch {samples}, whole step"
    published, fp32, bf16 = (seconds[way] for way in ("published", "fp32", "bf16"))
    return [
        ratio(f"{where}: published fp32 / ours fp32", published, fp32, at_least(2.2)),
        ratio(f"{where}: fp32 / bf16", fp32, bf16, at_least(1.8)),
        ratio(f"{where}: published fp32 / ours bf16", published, bf16, at_least(6.0)),
        ratio(
            f"{where}: bf16 / its FLOPs at peak", bf16, seconds["product"], at_most(2.5), 1 / own
        ),
        *(
            ratio(f"{where}: the authors' code fp32 / {other}", seconds["authors"], seconds[way])
            for way, other in (
                ("published", "published fp32"),
                ("fp32", "ours fp32"),
                ("bf16", "ours bf16"),
            )
            if authors is not None
        ),
        *_block_figures(device, rounds, samples),
        *_expert_figures(device, rounds, samples),
    ]


def inference_figures(device: torch.device, rounds: int) -> list[Figure]:
    """One forecast step of one sample, in float32, both in processes that were told nothing."""
    with (
        in_own_process(_forecast, True, device) as published,
        in_own_process(_forecast, False, device) as ours,
    ):
        seconds = in_turns({"published": published, "ours": ours}, 3 * rounds, device)
    name = "tiny, batch 1, inference: published fp32 / ours fp32"
    return [ratio(name, seconds["published"], seconds["ours"], at_least(2.0))]


def compiled_figures(device: torch.device, rounds: int, samples: int = 8) -> list[Figure]:
    """A training step as with `compile=true` of a run; its first call takes a minute more."""
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    models = {way: spread(config, batch, device) for way in ("plain", "compiled")}
    compile_network(models["compiled"])
    ways = {way: engine_step(model, batch, bf16=True) for way, model in models.items()}
    seconds = in_turns(ways, rounds, device)
    name = f"tiny, batch {samples}, whole step, bf16: plain / compiled"
    return [ratio(name, seconds["plain"], seconds["compiled"])]


def recompute_figures(device: torch.device, rounds: int, samples: int = 8) -> list[Figure]:
    """What recomputing blocks in the backward pass costs and saves, with `recompute=true`."""
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    models = {way: spread(config, batch, device) for way in ("kept", "recomputed")}
    models["recomputed"].recompute_blocks = True
    ways = {way: engine_step(model, batch, bf16=True) for way, model in models.items()}
    seconds = in_turns(ways, rounds, device)
    taken = {way: most_bytes(step, device) for way, step in ways.items()}
    where = f"tiny, batch {samples}, bf16, blocks recomputed / kept"
    return [
        ratio(f"{where}: time of a step", seconds["recomputed"], seconds["kept"]),
        Figure(f"{where}: memory of its tensors", taken["recomputed"] / taken["kept"]),
    ]


def kept_figures(device: torch.device, rounds: int, samples: int = 8) -> list[Figure]:
    """What keeping freed memory saves a process on CPUs, `keep_freed_memory` of a run."""
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    figures = []
    for bf16, said in ((False, "fp32"), (True, "bf16")):
        with in_own_process(_returning_training, bf16, samples, device) as returning:
            kept = engine_step(spread(config, batch, device), batch, bf16)
            seconds = in_turns({"returned": returning, "kept": kept}, rounds, device)
        name = f"tiny, batch {samples}, whole step, {said}: freed memory returned / kept"
        figures.append(ratio(name, seconds["returned"], seconds["kept"]))
    return figures


def size_figures(device: torch.device, rounds: int) -> list[Figure]:
    """Steps in bf16 of the sizes that a device holds, in seconds and as a share of its peak."""
    figures = []
    for preset, samples in (("tiny_plus", 8), ("small_plus", 8), ("medium_plus", 4)):
        if device.type == "cpu" and preset != "tiny_plus":
            continue
        figures += _figures_of_a_size(preset, samples, device, rounds)
    return figures


def _figures_of_a_size(
    preset: str, samples: int, device: torch.device, rounds: int
) -> list[Figure]:
    """Of one size; nothing of it is left in memory."""
    gc.collect()  # an engine and its hooks hold each other
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    config = config_of(preset)
    batch = random_batch(config, samples, device=device)
    step = engine_step(spread(config, batch, device), batch, bf16=True)
    product = _large_product(torch.bfloat16, device)
    seconds = in_turns({"step": step, "product": product}, rounds, device)
    flops = samples * cost_of(config, 1, 1, 1, True, samples).flops_step
    own, ones = flops / _large_flops(device), [1.0] * rounds
    where = f"{preset.removesuffix('_plus')}, batch {samples}, bf16"
    figures = [
        ratio(f"{where}: seconds per step", seconds["step"], ones),
        ratio(f"{where}: samples per second", ones, seconds["step"], scale=samples),
        ratio(
            f"{where}: share of a product's rate", seconds["product"], seconds["step"], scale=own
        ),
    ]
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device) / 2**30
        figures.append(Figure(f"{where}: memory, GiB", memory))
    return figures


def _block_figures(device: torch.device, rounds: int, samples: int) -> list[Figure]:
    """One of medium's blocks, forward and backward."""
    with in_own_process(_block_pass, True, samples, device) as published:
        ways = {"published": published, "ours": _block_pass(False, samples, device)}
        seconds = in_turns(ways, rounds, device)
    name = f"medium, batch {samples}, a block: published fp32 / ours fp32"
    return [ratio(name, seconds["published"], seconds["ours"], at_least(2.5))]


def _expert_figures(device: torch.device, rounds: int, samples: int) -> list[Figure]:
    """Forward and backward with few and with many experts to choose from."""
    ways = {}
    for count in (8, 64):
        config = config_of("tiny_plus", count)
        batch = random_batch(config, samples, device=device)
        model = spread(config, batch, device)
        ways[count] = _with_gradients(model, _loss_of(model, batch))
    seconds = in_turns({str(count): way for count, way in ways.items()}, rounds, device)
    name = f"tiny, batch {samples}, forward and backward: 64 experts / 8"
    return [ratio(name, seconds["64"], seconds["8"], at_most(1.15))]


def spread(config: MoEPOTConfig, batch: Batch, device: torch.device) -> MoEPOT:
    """A network with fresh weights, whose gates tell the samples of a batch apart."""
    model = build_model(config, seed=0).to(device)
    assert isinstance(model, MoEPOT)
    spread_routes(model, batch)
    return model


def engine_step(model: MoEPOT, batch: Batch, bf16: bool, ep_size: int = 1) -> Way:
    """An optimiser step as in a run under ZeRO 1, on as many ranks as there are."""
    template = {
        "zero_optimization": {"stage": 1, "reduce_bucket_size": 20_000_000, "overlap_comm": False},
        "bf16": {"enabled": bf16},
    }
    step = StepConfig(micro_batch=len(batch), optimiser=OptimiserConfig(lr=0.0))
    engine = build_engine(model, resolve_deepspeed_config(template, step), ep_size)

    def way() -> None:
        engine.backward(losses_of(engine(batch), batch, LossConfig(), sum_over_ranks).total)
        engine.step()

    return way


def _published_training(samples: int, device: torch.device) -> Way:
    """An optimiser step as published: float32, all experts, Adam operation by operation."""
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    model = spread(config, batch, device)
    return _adam_step(model, _loss_of(PublishedForm(model), batch))


def _returning_training(bf16: bool, samples: int, device: torch.device) -> Way:
    """Ours in a process that nobody told to keep its memory, a group of its own."""
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_PORT": "0"}
    join_ranks()
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    return engine_step(spread(config, batch, device), batch, bf16)


def _authors_training(authors: Path, samples: int, device: torch.device) -> Way:
    config = config_of("tiny_plus")
    batch = random_batch(config, samples, device=device)
    return _adam_step(*published_code_loss(authors, config, batch))


def _forecast(as_published: bool, device: torch.device) -> Way:
    """One step of tiny for one sample."""
    config = config_of("tiny_plus")
    model = spread(config, random_batch(config, 8, device=device), device).eval()
    form = PublishedForm(model) if as_published else model
    return _without_gradients(form, random_batch(config, 1, device=device))


def _block_pass(as_published: bool, samples: int, device: torch.device) -> Way:
    """One of medium's blocks forward and backward, features before space if as published."""
    config = config_of("medium_plus", blocks=1)
    model = spread(config, random_batch(config, samples, device=device), device)
    block = model.blocks[0]
    assert isinstance(block, Block)
    generator = torch.Generator().manual_seed(0)
    side = config.resolution // config.patch
    x = torch.randn(samples, side, side, config.width, generator=generator).to(device)
    if as_published:
        form = PublishedForm(model)
        x_BDhw = x.permute(0, 3, 1, 2).contiguous().requires_grad_()
        return _with_gradients(model, lambda: (form.through(block, x_BDhw, []) + x_BDhw).sum())
    x.requires_grad_()
    temperature = model.softmax_temperature()
    return _with_gradients(model, lambda: block(x, temperature, None)[0].sum())


def _adam_step(model: nn.Module, loss: Callable[[], Tensor]) -> Way:
    optimiser = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.9), weight_decay=1e-6)
    backward = _with_gradients(model, loss)

    def way() -> None:
        backward()
        optimiser.step()

    return way


def _loss_of(model: nn.Module, batch: Batch) -> Callable[[], Tensor]:
    return lambda: losses_of(model(batch), batch, LossConfig(), sum_over_ranks).total


def _with_gradients(model: nn.Module, loss: Callable[[], Any]) -> Way:
    def way() -> None:
        model.zero_grad(set_to_none=True)
        loss().backward()

    return way


def _without_gradients(model: nn.Module, batch: Batch) -> Way:
    def way() -> None:
        with torch.inference_mode():
            model(batch)

    return way


def _large_product(dtype: torch.dtype, device: torch.device) -> Way:
    side = _SIDES[device.type]
    left, right = (torch.randn(side, side).to(device, dtype) for _ in range(2))
    return lambda: left @ right


def _large_flops(device: torch.device) -> int:
    return 2 * int(_SIDES[device.type]) ** 3
