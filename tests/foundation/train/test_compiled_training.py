"""Training compiled by torch, in the modes that `compile` of a run names."""

import json

import pytest
import torch
from architectures import network_of, random_batch
from group import on_ranks
from runs import pretrain
from torch import nn
from torch._dynamo.utils import counters

from foundation.nn.compiled import compile_network
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

# torch's compiler warns of its own code.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def nothing_compiled_yet():
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def graphs_skipped() -> int:
    """CUDA graphs that torch was asked for and did not make, for want of a GPU."""
    return counters["inductor"]["cudagraph_skips"]


def passed(network: nn.Module, batch) -> dict[str, torch.Tensor]:
    """Loss and gradients of a forward and a backward pass."""
    network.zero_grad(set_to_none=True)
    loss = losses_of(network(batch), batch, LossConfig(), lambda x: x).total
    loss.backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **found}


class Product(nn.Module):
    """Nothing that would take long to compile; torch's own modules it leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


@pytest.mark.parametrize(("mode", "asked"), [("default", False), ("reduce-overhead", True)])
def test_the_mode_reaches_torchs_compiler(mode, asked, generator):
    network, x = Product(), torch.randn(2, 8, generator=generator)
    wanted = network(x)
    compile_network(network, mode)
    torch.testing.assert_close(network(x), wanted)
    assert (graphs_skipped() > 0) == asked


@pytest.mark.slow
def test_what_graphs_would_replay_learns_what_the_plain_network_learns(generator):
    network, batch = network_of("fno"), random_batch(generator)
    wanted = passed(network, batch)
    compile_network(network, "reduce-overhead")
    for _ in range(3):  # torch warms up, records and replays
        ours = passed(network, batch)
        assert ours.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert (ours[name] - tensor).norm() < 1e-5 * tensor.norm(), name
    assert graphs_skipped() > 0


def run_compiled(shards, output, compiled: str) -> int:
    """Trains a little; how many graphs torch was asked for and did not make."""
    extra = ("steps=2", "validation.every=2", "model.blocks=1", f"compile={compiled}")
    assert pretrain(shards, output, extra=extra) == 0
    return graphs_skipped()


@pytest.mark.slow
def test_a_run_compiles_in_the_mode_it_names_and_learns_the_same(waves, tmp_path, capfd):
    losses, skipped = [], []
    for compiled in ("false", "reduce-overhead"):
        output = tmp_path / compiled
        skipped += on_ranks(1, run_compiled, waves, output, compiled)
        rows = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
        losses.append([row["loss"] for row in rows if row["kind"] == "train"])
    assert skipped[0] == 0
    assert skipped[1] > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert "CUDA graphs are made on a GPU only" in capfd.readouterr().err
