"""What a GPU computes, against a CPU and against what was published.

python -m pytest -m gpu tests/gpu                       # on a machine with a GPU
TESTED_DEVICE=cpu python -m pytest -m gpu tests/gpu     # to try the tests themselves
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import SIZES, network_of, random_batch
from group import on_ranks
from published_nano import published_nano
from runs import curve, pretrain
from safetensors import safe_open
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

from data_shards.stream.batch import Batch
from foundation.models.registry import build_model
from foundation.moe.experts import Experts
from foundation.moe.mixing import ExpertRoutes, Maps, mix_chosen
from foundation.nn.compiled import compile_network
from foundation.nn.device import float32_products
from foundation.parallel.collectives import begin_exchange, sum_over_ranks
from foundation.parallel.engine import build_engine, resolve_deepspeed_config
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import OptimiserConfig, StepConfig
from foundation.published.names import from_published
from foundation.train.feed import Feed
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

pytestmark = pytest.mark.gpu

ON = torch.device(os.environ.get("TESTED_DEVICE", "cuda"))
CONFIGS = sorted(path.name for path in Path("ds_configs").glob("*.json"))


@pytest.fixture(autouse=True)
def there() -> None:
    if ON.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def apart(ours: Tensor, wanted: Tensor) -> float:
    """Relative distance in the 2-norm."""
    a, b = (tensor.detach().double().cpu() for tensor in (ours, wanted))
    return float((a - b).norm() / b.norm().clamp(min=1e-30))


def trained_once(model: torch.nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Loss, forecast and gradients of a pass."""
    model.zero_grad(set_to_none=True)
    prediction = model(batch)
    loss = losses_of(prediction, batch, LossConfig(), lambda x: x).total
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), "fields": prediction.fields.detach(), **gradients}


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
def test_the_published_output(golden, dtype, bound):
    with safe_open(golden / "moepot_reference_nano.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        c = json.loads(file.metadata()["config"])
    config = published_nano(c)
    model = build_model(config, seed=0).eval()
    weights = {k: v for k, v in tensors.items() if not k.startswith("golden")}
    model.load_state_dict(from_published(weights) | {"training_step": torch.tensor(10_000)})
    fields = tensors["golden.input"].permute(0, 3, 4, 1, 2).contiguous()
    count, _, channels, rows, columns = fields.shape
    masks = torch.ones(count, channels), torch.ones(count, 1, rows, columns)
    ids = torch.zeros(count, dtype=torch.int64)
    batch = Batch(fields, fields[:, :1], *masks, ids, ("",) * count).to(ON)
    with torch.no_grad():
        ours = model.to(ON, dtype)(batch).fields.permute(0, 3, 4, 1, 2)
    assert apart(ours, tensors["golden.output"]) < bound


def poison() -> None:
    """Memory that is free from now on is full of NaN: what nobody writes shows."""
    if ON.type == "cuda":
        filled = [torch.full((2**n,), float("nan"), device=ON) for n in range(10, 26)]
        torch.cuda.synchronize()
        del filled


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 4e-2), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("rows", "tokens"), [(20, 256), (2, 256), (1, 64), (64, 1)])
def test_mixtures_with_experts_that_nobody_chose(dtype, bound, rows, tokens):
    """Outputs and gradients against all experts in float64 on a CPU."""
    generator = torch.Generator().manual_seed(rows)
    features, width, number, top_k = 128, 64, 16, 4
    routed, shared = (Experts(n, features, width) for n in (number, 2))
    for parameter in (*routed.parameters(), *shared.parameters()):
        torch.nn.init.normal_(parameter, std=features**-0.5, generator=generator)
    routed, shared = routed.to(dtype), shared.to(dtype)
    x = torch.randn(rows, tokens, features, generator=generator).to(dtype)
    values, chosen = torch.randn(rows, number, generator=generator).topk(top_k)
    found = {}
    for name, where, kind in (("exact", "cpu", torch.float64), ("ours", ON, dtype)):
        leaves = [p.detach().to(where, kind) for e in (routed, shared) for p in e.parameters()]
        leaves = [leaf.requires_grad_() for leaf in [x.detach().to(where, kind), *leaves]]
        weights = values.to(where).softmax(-1).requires_grad_()
        poison()
        if name == "exact":
            spread = torch.zeros(rows, number).scatter(1, chosen, weights)[:, :, None, None]
            each, always = (
                torch.stack([F.gelu(F.linear(leaves[0], w, b)) for w, b in zip(*maps, strict=True)])
                for maps in (leaves[1:3], leaves[3:])
            )
            out = (each.movedim(0, 1) * spread).sum(1) + always.mean(0)
        else:
            routes = ExpertRoutes.of_choices(chosen.to(where), weights, number)
            out = mix_chosen(leaves[0], routes, Maps(*leaves[1:3]), Maps(*leaves[3:]))
        direction = torch.linspace(-1, 2, out.numel()).view(out.shape).to(out)
        poison()
        found[name] = [out, *torch.autograd.grad((out * direction).sum(), [*leaves, weights])]
    for ours, exact in zip(found["ours"], found["exact"], strict=True):
        assert torch.isfinite(ours).all()
        assert apart(ours, exact) < bound
    unused = sorted(set(range(number)) - set(chosen.flatten().tolist()))
    assert not found["ours"][2][unused].any()
    assert not found["ours"][3][unused].any()


@pytest.mark.parametrize("name", SIZES)
def test_every_architecture_learns_what_it_learns_on_a_cpu(name, generator):
    model, batch = network_of(name), random_batch(generator)
    wanted = trained_once(model, batch)
    ours = trained_once(model.to(ON), batch.to(ON))
    for key, tensor in wanted.items():
        assert apart(ours[key], tensor) < 2e-3, key


@pytest.mark.parametrize("unit", ["sample", "token"])
def test_a_pass_in_bfloat16_waits_for_nothing_and_repeats_bit_for_bit(unit, generator):
    model = network_of("moe_pot", width=64, router={"unit": unit}).to(ON, torch.bfloat16)
    batch = random_batch(generator).to(ON)
    first = trained_once(model, batch)
    if ON.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        second = trained_once(model, batch)
    finally:
        if ON.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert differing == []


@pytest.mark.parametrize("product", [torch.matmul, F.conv2d])
def test_products_are_rounded_to_tf32_where_asked_and_only_there(product, generator):
    """Rounding to 10 bits of mantissa moves a number by 2 ** -11 of itself at most."""
    x, w = (torch.randn(64, 64, 8, 8, generator=generator) for _ in range(2))
    wanted = product(x.double(), w.double())
    with float32_products():
        whole = product(x.to(ON), w.to(ON))
    with float32_products(rounded=True):
        rounded = product(x.to(ON), w.to(ON))
    assert apart(whole, wanted) < 1e-5
    assert apart(rounded, wanted) < 2**-10
    if ON.type == "cuda" and torch.cuda.get_device_capability(ON) >= (8, 0):
        assert apart(rounded, wanted) > 1e-4


@pytest.mark.parametrize("name", ["moe_pot", "unet"])
def test_forecasts_under_tf32_are_those_of_float32_but_for_its_rounding(name, generator):
    model, batch = network_of(name).to(ON).eval(), random_batch(generator).to(ON)
    fields = []
    for rounded in (False, True):
        with torch.no_grad(), float32_products(rounded=rounded):
            fields.append(model(batch).fields)
    assert apart(fields[1], fields[0]) < 2**-6


# torch's compiler warns of its own code, and of what it reads behind the break of a graph.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("name", ["fno", "moe_pot"])
def test_training_replayed_as_graphs_follows_plain_training(name, generator):
    """The first steps warm up and record; gradients are dropped before each, as DeepSpeed does."""
    batch, losses = random_batch(generator).to(ON), []
    counters.clear()
    for replayed in (False, True):
        model = network_of(name).to(ON)
        if replayed:
            torch.compiler.reset()
            compile_network(model, "reduce-overhead")
        optimiser, own = torch.optim.AdamW(model.parameters(), lr=1e-3), []
        for _ in range(6):
            own.append(float(trained_once(model, batch)["loss"]))
            optimiser.step()
        losses.append(own)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert len(set(losses[0])) == 6  # every step moved the weights
    assert (counters["inductor"]["cudagraph_skips"] == 0) == (ON.type == "cuda")


def steps_of_engine(file: str) -> list[float]:
    """Losses of three steps under a configuration."""
    device = join_ranks().device
    assert device.type == ON.type
    batch = random_batch(torch.Generator().manual_seed(0)).to(device)
    step = StepConfig(micro_batch=len(batch), optimiser=OptimiserConfig(lr=2e-4))
    template = json.loads(Path("ds_configs", file).read_text())
    engine = build_engine(network_of("moe_pot"), resolve_deepspeed_config(template, step), 1)
    losses = []
    for _ in range(3):
        loss = losses_of(engine(batch), batch, LossConfig(balance_weight=0.0), sum_over_ranks).total
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    leave_ranks()
    return losses


@pytest.mark.parametrize("file", CONFIGS)
def test_every_configuration_of_deepspeed_steps_as_adamw(file):
    batch, model = random_batch(torch.Generator().manual_seed(0)), network_of("moe_pot")
    optimiser = torch.optim.AdamW(
        model.parameters(), **OptimiserConfig(lr=2e-4).model_dump(exclude={"decay"})
    )
    wanted = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = losses_of(model(batch), batch, LossConfig(balance_weight=0.0), lambda x: x).total
        loss.backward()
        optimiser.step()
        wanted.append(float(loss.detach()))
    (losses,) = on_ranks(1, steps_of_engine, file)
    assert losses == pytest.approx(wanted, rel=5e-2 if "bf16" in file else 1e-3)


@pytest.mark.parametrize("file", ["zero1_fp32.json", "zero1_bf16.json"])
def test_a_run_that_stops_and_goes_on_repeats_bit_for_bit(file, waves, tmp_path):
    extra = ("deterministic=true", "--deepspeed_config", f"ds_configs/{file}")
    whole, again = tmp_path / "whole", tmp_path / "again"
    assert on_ranks(1, pretrain, waves, whole, 1, None, extra) == [0]
    assert on_ranks(1, pretrain, waves, again, 1, 4, extra) == [0]
    assert on_ranks(1, pretrain, waves, again, 1, None, (*extra, "--resume")) == [0]
    assert curve(again) == curve(whole)


def exchanged() -> tuple[list[float], list[float]]:
    device = join_ranks().device
    rows = torch.arange(12.0, device=device).view(4, 3).requires_grad_()
    arrived = begin_exchange(rows, [4], [4], None)()
    (gradient,) = torch.autograd.grad((2 * arrived).sum(), rows)
    leave_ranks()
    return arrived.flatten().tolist(), gradient.flatten().tolist()


def test_experts_exchange_rows_over_the_devices_own_collectives():
    ((arrived, gradient),) = on_ranks(1, exchanged)
    assert arrived == list(map(float, range(12)))
    assert gradient == [2.0] * 12


def test_batches_come_ahead_as_they_are(generator):
    given = [random_batch(generator) for _ in range(4)]
    waiting: Any = iter(given)
    feed = Feed(lambda: next(waiting), ON)
    for batch in given:
        came = feed.next()
        if batch is not given[-1]:
            feed.look_ahead()
        assert came.given.device.type == ON.type
        assert torch.equal(came.given.cpu(), batch.given)
        assert came.keys == batch.keys
