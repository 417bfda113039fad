"""The bench: its ways do what they are named for, and its figures are what was measured."""

import json
import sys
import time
from functools import partial

import pytest
import torch
from group import on_ranks
from torch.utils.flop_counter import FlopCounterMode

from foundation.models.registry import build_model, work_of
from foundation.plan.mixture_work import dense_work_of
from launchers.benchmarks import constraint, network
from launchers.benchmarks.mixture import CHOSEN, SHARED, TOKENS, layer_of, one_product
from launchers.benchmarks.network import config_of
from launchers.benchmarks.options import main as bench
from launchers.benchmarks.provenance import provenance
from launchers.benchmarks.published_code import published_code_loss
from launchers.benchmarks.published_form import PublishedForm
from launchers.benchmarks.samples import random_batch, spread_routes
from launchers.benchmarks.timing import Figure, at_least, at_most, in_turns, ratio
from launchers.cli import main

CPU = torch.device("cpu")
WIDTH, EXPERTS, SAMPLES = 16, 8, 5
SMALL = {"resolution": 32, "width": 32, "blocks": 2, "heads": 2, "head_width": 8}


def flops(way) -> int:
    with FlopCounterMode(display=False) as counter:
        way()
    return counter.get_total_flops()


def test_a_ratio_is_the_median_of_the_rounds_and_not_that_of_the_medians():
    figure = ratio("x", [2.0, 9.0, 4.0], [1.0, 3.0, 4.0], at_least(2.0))
    assert figure.rounds == (2.0, 3.0, 1.0)
    assert figure.value == 2.0
    assert figure.plain()["met"] is True
    assert ratio("x", [2.0], [1.0], at_most(1.9)).plain()["met"] is False
    assert Figure("x", 1.0).plain()["met"] is None


def test_ways_take_turns_of_two_calls_of_which_the_second_counts():
    order: list[str] = []

    def way(name: str) -> None:
        first = order.count(name) % 2 == 0
        order.append(name)
        time.sleep({"long": 0.0 if first else 0.02, "short": 0.02 if first else 0.0}[name])

    ways = {name: partial(way, name) for name in ("long", "short")}
    seconds = in_turns(ways, 2)
    assert order == ["long", "long", "short", "short"] * 2
    assert [len(rounds) for rounds in seconds.values()] == [2, 2]
    assert min(seconds["long"]) >= 0.02 > max(seconds["short"])


def test_both_forms_of_the_mixture_are_one_function():
    layer = layer_of(WIDTH, EXPERTS, SAMPLES, torch.float32, CPU)
    results = []
    weights = [*layer.experts, *layer.shared]
    layer.sparse()
    results.append([layer.rows_BNF.grad, *(w.grad.clone() for w in weights)])
    layer.all_computed()
    results.append([layer.maps_BFN.grad.transpose(1, 2), *(w.grad.clone() for w in weights)])
    for sparse, full in zip(*results, strict=True):
        # float32 in another order of summation, over 1280 tokens
        torch.testing.assert_close(sparse, full, rtol=1e-4, atol=1e-4)


def test_one_product_has_the_multiply_adds_of_the_chosen_experts():
    layer = layer_of(WIDTH, EXPERTS, SAMPLES, torch.float32, CPU)
    product = one_product(WIDTH, SAMPLES, torch.float32, CPU)
    expected = 3 * 2 * SAMPLES * TOKENS * (CHOSEN + SHARED) * WIDTH**2
    assert flops(layer.sparse) == flops(product) == expected


def test_both_forms_of_a_block_are_one_function(monkeypatch):
    models = []
    spread = network.spread
    monkeypatch.setattr(network, "config_of", lambda preset, **values: config_of(preset, **SMALL))
    monkeypatch.setattr(
        network, "spread", lambda *given: models.append(spread(*given)) or models[-1]
    )
    for as_published in (True, False):
        network._block_pass(as_published, 3, CPU)()
    theirs, ours = (
        [p.grad for p in model.blocks[0].parameters() if p.grad is not None] for model in models
    )
    assert len(ours) == len(theirs) > 0
    for one, two in zip(ours, theirs, strict=True):
        scale = max(float(two.abs().max()), 1e-6)
        torch.testing.assert_close(one / scale, two / scale, rtol=1e-4, atol=1e-4)


def test_routes_of_a_fresh_network_are_spread():
    config = config_of("tiny_plus", 8, **SMALL)
    model, batch = build_model(config, seed=0), random_batch(config, 8)
    before = min(len(routed.experts_BK.unique()) for routed in model(batch).routing)
    assert spread_routes(model, batch) > max(before, 6)


def test_the_published_form_computes_all_experts_and_ours_the_chosen():
    """Counted by torch; what else the published form does more is no expert's work."""
    config = config_of("tiny_plus", 8, **SMALL)
    model, batch = build_model(config, seed=0), random_batch(config, 4)
    spread_routes(model, batch)
    saved = 4 * (dense_work_of(config).products - work_of(config).products)
    assert flops(lambda: PublishedForm(model)(batch)) - flops(lambda: model(batch)) >= saved > 0


def run_bench(path: str) -> int:
    return bench(["--only", "inference", "--rounds", "1", "--output", path])


@pytest.mark.slow
def test_the_record_holds_what_was_measured_and_how(tmp_path):
    path = tmp_path / "records" / "ratios.json"
    assert on_ranks(1, run_bench, str(path)) == [0]
    record = json.loads(path.read_text())
    assert record["rounds"] == 1
    assert record["machine"]["cores"] >= 1
    (figure,) = record["figures"]
    assert figure["value"] > 0
    assert figure["goal"] == {"bound": 2.0, "at_least": True}
    assert figure["met"] == (figure["value"] >= 2.0)


def test_runs_need_shards(capsys):
    assert bench(["--only", "runs"]) == 2
    assert "--shards" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "fault"),
    [((), "no models/moepot.py"), (("--only", "mixture"), "in the part `network`")],
)
def test_the_authors_code_must_be_there_and_wanted(options, fault, tmp_path, capsys):
    assert bench([*options, "--authors", str(tmp_path)]) == 2
    assert fault in capsys.readouterr().err


def test_a_network_of_a_clone_is_made_with_our_sizes_and_given_our_fields(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "moepot.py").write_text(CLONE)
    config = config_of("tiny_plus", **SMALL)
    batch = random_batch(config, 3)
    try:
        model, loss = published_code_loss(tmp_path, config, batch)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
            del sys.modules[name]
    # Zero is predicted: each of three samples misses all of itself; and a tenth of the balance, 2.
    assert float(loss().detach()) == pytest.approx(3.2)
    assert (model.given["embed_dim"], model.given["n_blocks"]) == (config.width, config.heads)


CLONE = """
import torch
class MoEPOTNet(torch.nn.Module):
    def __init__(self, **given):
        super().__init__()
        self.given = given
    def forward(self, x):
        B, X, Y, T, C = x.shape
        names = "img_size", "in_timesteps", "in_channels"
        assert (X, T, C) == tuple(self.given[name] for name in names)
        return torch.zeros(B, X, Y, 1, C), None, 2.0
"""


def test_the_console_has_the_bench_with_all_its_subjects(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("--quick", "stream", "links"))
    assert main(["bench", "--only", "runs"]) == 2


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["launchers/bench.py", "--quick"], "python launchers/bench.py --quick"),
        (["/bin/foundation", "bench", "--quick"], "foundation bench --quick"),
    ],
)
def test_a_record_says_the_command_that_was_given(words, command, monkeypatch):
    monkeypatch.setattr("sys.argv", words)
    assert provenance(CPU)["command"] == command


def test_arms_of_a_constraint_are_what_they_are_named():
    """For a fixed basis boxes leave less of the equation and err more, as nothing ties their faces.

    Overlap does, and so does an anchor; without a solve the sum of random fields is nothing.
    """
    errors = {name: constraint.recovered(words) for name, words in constraint.arms().items()}
    assert errors["one"] < errors["2 boxes"] < errors["4 boxes"] < errors["8 boxes"] < 0.2
    for boxes in constraint.BOXES:
        assert errors[f"{boxes} boxes, overlap 2"] < 0.9 * errors[f"{boxes} boxes"]
        assert errors[f"{boxes} boxes, anchored"] < 0.8 * errors[f"{boxes} boxes"]
    assert errors["soft"] > 1
    _, forecast = constraint._ways(constraint.arms()["2 boxes"], CPU)
    assert forecast().shape == (constraint.SAMPLES, 31, 1, 1, 32)
    step, _ = constraint._ways(constraint.arms()["one, 100 points"], CPU)
    assert flops(step) > 0
