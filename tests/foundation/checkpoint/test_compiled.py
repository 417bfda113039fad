"""A compiled network forecasts what the plain one does, in bfloat16 as one graph."""

import pytest
import torch
from runs import write_checkpoint

from foundation import Surrogate

# torch's compiler warns of its own code.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


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


def test_a_compiled_checkpoint_is_saved_as_it_was(model, tmp_path):
    before = model.fingerprint
    model.compiled().save_pretrained(tmp_path / "again")
    assert Surrogate.from_pretrained(tmp_path / "again").fingerprint == before
