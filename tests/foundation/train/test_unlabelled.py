"""Laws of training on unlabelled samples: shown what is given, scored by nothing but terms."""

import pytest
import torch
from states import LABELLED, UNLABELLED, chain_batch, states_network, write_states

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig
from foundation.models.types import Prediction
from foundation.train.config import load_run_config
from foundation.train.losses import losses_of
from foundation.train.objectives import OBJECTIVES, LossConfig, Ramp

ENERGY = LossConfig(
    objective="sign_free", terms={"energy": Ramp(end=1.0)}, balance_weight=0.0, noise=0.0
)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    folder = write_states(tmp_path_factory.mktemp("states"), LABELLED, UNLABELLED)
    corpora = [ShardedCorpus.open(folder, name, "train") for name in (LABELLED, UNLABELLED)]
    config = StreamConfig(
        mixture=MixtureConfig(weights="balanced", seed=0),
        context_frames=1,
        target_frames=1,
        unlabelled=(UNLABELLED,),
    )
    layout = states_network(resolution=16).config.layout
    found = next(SampleStream(corpora, config, layout).batches(0, 8))
    assert set(found.corpus_id.tolist()) == {0, 1}
    return found


def test_of_an_unlabelled_corpus_a_batch_shows_what_is_given_alone(batch):
    hidden = batch.corpus_id == 1
    fields = batch.given[:, 0, 0, 0, 0]
    assert (fields[hidden] >= 1.0).all()
    assert (fields[~hidden] <= 0.5).all()
    assert not batch.asked[hidden].any()
    norms = batch.asked[~hidden].flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    assert torch.equal(batch.asked_mask[:, 0] == 0, hidden)


def test_unlabelled_samples_learn_from_terms_alone(batch):
    model = states_network(resolution=16)
    hidden = batch.corpus_id == 1
    prediction = model(batch)
    objective = OBJECTIVES["sign_free"](prediction, batch, ENERGY)
    assert (objective[hidden] == 0).all()
    assert (objective[~hidden] > 0).all()
    losses = losses_of(prediction, batch, ENERGY, lambda values: values)
    assert (losses.per_sample[hidden] == 0).all()
    wanted = objective.mean() + prediction.terms["energy"].mean()
    torch.testing.assert_close(losses.total, wanted)


def test_the_sign_of_an_eigenvector_means_nothing_and_its_direction_everything():
    truth = chain_batch(4)
    for sign in (1, -1):
        same = Prediction(sign * truth.asked, (), torch.empty(4, 0))
        error_B = OBJECTIVES["sign_free"](same, truth, ENERGY)
        torch.testing.assert_close(error_B, torch.zeros(4), atol=1e-6, rtol=0)
    one_up = torch.zeros_like(truth.asked)
    one_up[..., 0] = 1
    error_B = OBJECTIVES["sign_free"](Prediction(one_up, (), torch.empty(4, 0)), truth, ENERGY)
    torch.testing.assert_close(error_B, 2 - 2 * truth.asked[:, 0, 0, 0, 0])


def test_a_run_says_which_corpora_are_unlabelled_and_what_is_minimised_there():
    run = load_run_config("pg_moe", [])
    assert run.data.unlabelled[0] == "ising_8_field_0.25"  # the ladder's rungs
    assert set(run.data.unlabelled) < set(run.data.corpora)
    for override, fault in (
        ("data.unlabelled=[ising_4]", "not among corpora"),
        ("data.corpora=[ising_8_field]", "nothing is left"),
        ("loss.terms={}", "only what a network gives"),
        ("loss.mask=reference", "loss.mask"),
    ):
        with pytest.raises(UserError, match=fault):
            load_run_config("pg_moe", [override])
    assert "unlabelled" not in load_run_config("nano", []).canonical()["data"]


@pytest.mark.parametrize("preset", ["pg_moe", "pg_moe_labels", "pg_moe_single", "pg_dense"])
def test_presets_of_ground_states_minimise_what_they_say(preset):
    loss = load_run_config(preset, []).loss
    ramp = loss.terms["energy"]
    assert (loss.objective, ramp.at(0)) == ("sign_free", 0)
    assert ramp.at(ramp.last) == (0 if preset == "pg_moe_labels" else 1)
