"""FNO, TFNO and UNO of `neuraloperator` beside their authors' own forward pass.

Runs where the package is installed (`pip install "moe-pot[neuraloperator]"`), here version 2.0.
"""

import pytest
import torch
from outside import outside
from test_stacked_frames import batch_of

from evaluation.foreign import Units, square, stacked_frames
from evaluation.foreign.factory import weights_sha256
from evaluation.foreign.model import ForeignModel

models = outside("neuralop.models", "neuraloperator")
processors = outside("neuralop.data.transforms.data_processors", "neuraloperator")
normalizers = outside("neuralop.data.transforms.normalizers", "neuraloperator")

SIDE, FRAMES, CHANNELS = 32, 4, 3
IN = FRAMES * CHANNELS
MAKERS = {
    "FNO": lambda: models.FNO((8, 8), IN, CHANNELS, 16, n_layers=2),
    "TFNO": lambda: models.TFNO((8, 8), IN, CHANNELS, 16, n_layers=2, rank=0.4),
    "UNO": lambda: models.UNO(
        IN,
        CHANNELS,
        hidden_channels=16,
        lifting_channels=16,
        projection_channels=16,
        n_layers=4,
        uno_out_channels=[16, 16, 16, 16],
        uno_n_modes=[[8, 8], [4, 4], [4, 4], [8, 8]],
        channel_mlp_skip="linear",
        uno_scalings=[[1.0, 1.0], [0.5, 0.5], [1.0, 1.0], [2.0, 2.0]],
    ),
}


@pytest.fixture(params=MAKERS)
def network(request) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)  # their layers draw from the global generator
        return MAKERS[request.param]().eval()


def adapted(network: torch.nn.Module, units: Units | None = None) -> ForeignModel:
    return stacked_frames(network, square(SIDE, CHANNELS), context_frames=FRAMES, units=units)


@torch.no_grad()
def test_one_frame_is_that_of_the_authors_own_pass_and_processor(network, generator):
    mean, std = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.3, 4.0, 1.0])
    context = mean.view(3, 1, 1) + torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=generator)

    def normaliser(times: int):
        column = [values.repeat(times).view(1, -1, 1, 1) for values in (mean, std)]
        return normalizers.UnitGaussianNormalizer(mean=column[0], std=column[1], eps=0)

    processor = processors.DefaultDataProcessor(normaliser(FRAMES), normaliser(1)).wrap(network)
    processor.eval()
    target = torch.zeros(2, 3, SIDE, SIDE)
    data = processor.preprocess({"x": context.flatten(1, 2), "y": target})
    theirs, _ = processor.postprocess(network(data["x"]), data)
    ours = adapted(network, Units(mean.tolist(), std.tolist())).answer(batch_of(context), 1)
    assert theirs.std() > 0.01  # not a constant
    torch.testing.assert_close(ours[:, 0], theirs, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_rollout_is_their_network_fed_with_its_own_frames(network, generator):
    context = torch.randn(2, FRAMES, 3, SIDE, SIDE, generator=generator)
    frames = context
    for _ in range(3):
        frames = torch.cat([frames, network(frames[:, -FRAMES:].flatten(1, 2))[:, None]], dim=1)
    ours = adapted(network).answer(batch_of(context), 3)
    torch.testing.assert_close(ours, frames[:, FRAMES:], rtol=1e-5, atol=1e-5)


def test_weights_are_told_apart_by_their_tensors_alone(network):
    """The state of FNO and TFNO keeps functions, too, whose names differ between processes."""
    before = weights_sha256(network)
    if "_metadata" in network.state_dict():
        network._init_kwargs["non_linearity"] = lambda x: x
    assert weights_sha256(network) == before
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    assert weights_sha256(network) != before
