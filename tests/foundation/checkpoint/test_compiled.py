"""A compiled network forecasts what the plain one does, in bfloat16 as one graph."""

import pytest
import torch
from runs import write_checkpoint

from data_shards.errors import UserError
from foundation import Surrogate

# torch's compiler warns of its own code.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def nothing_compiled_yet() -> None:
    torch.compiler.reset()


@pytest.fixture
def model(tmp_path) -> Surrogate:
    return Surrogate.from_pretrained(write_checkpoint(tmp_path / "model"))


def context_of(model: Surrogate, generator: torch.Generator) -> torch.Tensor:
    config = model.config
    side, channels = config.resolution, config.channels
    return torch.randn(2, config.context_frames, channels, side, side, generator=generator)


def relative(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours - expected).norm() / expected.norm())


def test_in_bfloat16_a_network_is_one_graph(model, generator):
    """Nothing in it asks the host, which alone would break the graph; any backend could run it."""
    model.bfloat16()
    context = context_of(model, generator)
    plain = model.forecast(context, steps=2)
    model.network.compile(backend="eager", fullgraph=True)
    # the grouped product rounds its sums in another order: some roundings of 2^-9
    assert relative(model.forecast(context, steps=2), plain) < 2**-6


def test_bfloat16_is_float32_but_for_its_rounding(model, generator):
    context = context_of(model, generator)
    plain = model.forecast(context, steps=1)
    rounded = model.bfloat16().forecast(context, steps=1)
    assert rounded.dtype == torch.float32
    assert 0 < relative(rounded, plain) < 2**-5


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-6)])
def test_compiled_code_gives_the_same(dtype, bound, model, generator):
    model.to(dtype)
    context = context_of(model, generator)
    plain, routes = model.forecast(context, steps=2), model.route(context)
    model.compiled()
    assert relative(model.forecast(context, steps=2), plain) < bound
    assert relative(model.forecast(context[:1], steps=2), plain[:1]) < bound  # another shape
    for one, two in zip(model.route(context), routes, strict=True):
        assert relative(one.probabilities, two.probabilities) < bound


def test_in_float32_graphs_hold_for_any_choice_of_experts(model, generator):
    """Mixtures stay outside: a graph would hold for as many experts as were chosen when made."""
    made = []

    def counting(graph, inputs):
        made.append(graph)
        return graph.forward

    contexts = [context_of(model, generator) for _ in range(6)]
    assert len({len(model.route(context)[0].experts.unique()) for context in contexts}) > 1
    model.network.compile(backend=counting)
    counts = []
    for context in contexts:
        model.forecast(context, steps=2)
        counts.append(len(made))
    assert counts[0] > 1
    assert set(counts) == {counts[0]}


def test_a_missing_compiler_is_told(model, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no-such-compiler is not there"):
        model.compiled()


def test_a_compiled_checkpoint_is_saved_as_it_was(model, generator, tmp_path):
    before = model.fingerprint
    model.network.compile(backend="eager")
    model.forecast(context_of(model, generator), steps=1)
    model.save_pretrained(tmp_path / "again")
    assert Surrogate.from_pretrained(tmp_path / "again").fingerprint == before
