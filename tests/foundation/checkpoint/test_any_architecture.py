"""A checkpoint folder gives back any architecture; only a mixture has routes."""

import pytest
import torch
from architectures import DENSE, SIZES, config_of, network_of

from data_shards.errors import UserError
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder

INCREMENTS = {"target": "increment", "instance_norm": True, "out_frames": 2}


@pytest.fixture(params=SIZES)
def saved(request, tmp_path):
    """Architecture, network and the folder it was saved in."""
    network = network_of(request.param, seed=3, **INCREMENTS).eval()
    config = config_of(request.param, **INCREMENTS)
    save_folder(tmp_path / "model", config, network.state_dict(), {"steps": 7})
    return request.param, network, tmp_path / "model"


def test_the_same_network_comes_back_with_its_configuration(saved, tmp_path, generator):
    name, network, folder = saved
    model = Surrogate.from_pretrained(folder)
    assert type(model.network) is type(network)
    assert model.config == config_of(name, **INCREMENTS)
    context = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model.save_pretrained(tmp_path / "copy")
    copy = Surrogate.from_pretrained(tmp_path / "copy")
    assert copy.fingerprint == model.fingerprint
    assert torch.equal(copy.forecast(context, 5), model.forecast(context, 5))
    assert model.parameter_counts() == network.parameter_counts()


def test_padded_channels_and_obstacles_are_carried_by_any_architecture(saved, generator):
    model = Surrogate.from_pretrained(saved[2])
    mask = torch.ones(16, 16)
    mask[3, 4] = 0
    context = torch.randn(2, 12, 2, 16, 16, generator=generator)
    future = model.forecast(context, 3, mask)
    assert future.shape == (2, 3, 2, 16, 16)
    assert torch.isfinite(future).all()
    assert torch.equal(future[:, :, :, 3, 4], context[:, -1:, :, 3, 4].expand(-1, 3, -1))


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_network_is_asked_for_routes_in_vain(name):
    model = Surrogate(network_of(name), config_of(name), {})
    with pytest.raises(UserError, match=f"{name} is dense: it routes nothing"):
        model.route(torch.zeros(1, 10, 4, 16, 16))


def test_one_architectures_weights_are_not_anothers(tmp_path):
    network = network_of("fno")
    save_folder(tmp_path / "model", config_of("unet"), network.state_dict(), {})
    with pytest.raises(UserError, match="does not belong to this config"):
        Surrogate.from_pretrained(tmp_path / "model")
