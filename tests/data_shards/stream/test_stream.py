"""Laws of the stream: one order of samples, whatever the ranks, workers and restarts."""

from itertools import islice

import numpy as np
import pytest
import torch
from laid_out import laid_out

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import ModelLayout, square
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig

NAMES = ("toy_flow", "toy_gas", "toy_solid")
TENSORS = ("given", "asked", "asked_mask", "valid_mask", "corpus_id")


@pytest.fixture(scope="module")
def corpora(toy_folder):
    return [ShardedCorpus.open(toy_folder, name, "train") for name in NAMES]


def make(corpora, resolution=8, weights="balanced", **settings):
    config = StreamConfig(mixture=MixtureConfig(weights=weights, seed=3), **settings)
    return SampleStream(corpora, config, square(resolution))


def take(batches, number):
    return list(islice(batches, number))


def joined(batches, name):
    return torch.cat([getattr(batch, name) for batch in batches])


def assert_same_samples(ours, others):
    assert [k for b in ours for k in b.keys] == [k for b in others for k in b.keys]
    for name in TENSORS:
        torch.testing.assert_close(joined(ours, name), joined(others, name), rtol=0, atol=0)


@pytest.mark.parametrize("resolution", [8, 12])
@pytest.mark.parametrize("target_frames", [1, 2])
def test_a_sample_is_the_planned_window_in_the_models_layout(corpora, resolution, target_frames):
    stream = make(corpora, resolution, target_frames=target_frames)
    batch = next(stream.batches(0, 30))
    assert batch.given.shape == (30, 10, 4, resolution, resolution)
    assert batch.asked.shape == (30, target_frames, 4, resolution, resolution)
    assert len(batch) == 30
    for row in range(30):
        sample = stream.plan.sample(row)
        corpus = corpora[sample.corpus]
        trajectory = corpus.trajectory(sample.trajectory)
        window = trajectory.fields[sample.start : sample.start + 10 + target_frames]
        fields, channels, valid = laid_out(window, trajectory.full_mask, corpus.card, stream.layout)
        torch.testing.assert_close(batch.given[row], fields[:10], rtol=0, atol=0)
        torch.testing.assert_close(batch.asked[row], fields[10:], rtol=0, atol=0)
        torch.testing.assert_close(batch.asked_mask[row], channels, rtol=0, atol=0)
        torch.testing.assert_close(batch.valid_mask[row], valid, rtol=0, atol=0)
        assert int(batch.corpus_id[row]) == sample.corpus
        key = f"{NAMES[sample.corpus]}/train-{sample.trajectory:06d}@{sample.start}"
        assert batch.keys[row] == key


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("weights", ["balanced", "proportional"])
def test_ranks_share_each_global_batch_in_the_plans_order(corpora, world, weights):
    stream = make(corpora, weights=weights)
    alone = take(stream.batches(16, 8), 6)
    ranks = [take(stream.batches(16, 8, rank, world), 6) for rank in range(world)]
    for step in range(6):
        assert_same_samples([alone[step]], [batches[step] for batches in ranks])
    keys = [key for batch in alone for key in batch.keys]
    assert tuple(keys) == stream.sample_keys(16, 48)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # fewer cores than workers
def test_workers_change_no_sample_and_no_order(corpora, workers):
    inline = take(make(corpora).batches(4, 6, 1, 2), 7)
    assert_same_samples(inline, take(make(corpora, workers=workers).batches(4, 6, 1, 2), 7))


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_leaves_the_global_generators_alone(corpora, workers):
    torch.manual_seed(7)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    take(make(corpora, workers=workers).batches(0, 6), 3)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


def test_a_stream_travels_to_a_spawned_worker(corpora):
    stream = make(corpora)
    context = torch.multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        keys, fields = pool.apply(decoded, (stream, 5, 4))
    batch = stream.decode(5, 4)
    assert keys == batch.keys
    np.testing.assert_array_equal(fields, batch.given.numpy())


def decoded(stream, first, number):
    batch = stream.decode(first, number)
    return batch.keys, batch.given.numpy()


@pytest.mark.parametrize(("world", "later_world"), [(1, 1), (2, 2), (2, 4), (4, 1)])
def test_a_run_resumed_at_sample_160_sees_the_very_next_samples(corpora, world, later_world):
    whole = take(make(corpora).batches(0, 16), 14)
    before = [take(make(corpora).batches(0, 16, r, world), 10) for r in range(world)]
    after = [take(make(corpora).batches(160, 16, r, later_world), 4) for r in range(later_world)]
    for step, batch in enumerate(whole):
        ranks, local = (before, step) if step < 10 else (after, step - 10)
        assert_same_samples([batch], [batches[local] for batches in ranks])


def test_another_global_batch_continues_the_same_plan(corpora):
    stream = make(corpora)
    keys = [key for batch in take(stream.batches(0, 5), 12) for key in batch.keys]
    assert tuple(keys) == sum((b.keys for b in take(stream.batches(0, 12), 5)), ())


def test_asking_for_keys_reads_no_data(corpora, monkeypatch):
    stream = make(corpora)
    monkeypatch.setattr(ShardedCorpus, "window", None)
    assert len(stream.sample_keys(10**9, 20)) == 20


def test_every_trajectory_is_seen_once_per_pass(corpora):
    stream = make(corpora, weights="proportional")
    total = sum(corpus.num_trajectories for corpus in corpora)  # proportional: one block, one pass
    seen = [key.split("@")[0] for batch in take(stream.batches(0, total), 4) for key in batch.keys]
    for once in range(4):
        block = seen[once * total : (once + 1) * total]
        assert sorted(block) == sorted(f"{c.name}/{key}" for c in corpora for key in c.keys)


def test_solid_cells_and_padding_are_masked_in_a_batch(corpora):
    batch = next(make(corpora).batches(0, 12))
    solid = batch.corpus_id == NAMES.index("toy_solid")
    assert bool(solid.any())
    assert bool((batch.valid_mask[solid].sum(dim=(1, 2, 3)) < 64).all())
    assert bool((batch.valid_mask[~solid] == 1).all())
    flow = batch.corpus_id == NAMES.index("toy_flow")
    assert bool((batch.given[flow][:, :, 1:] == 1).all())
    assert batch.asked_mask.sum(dim=1).tolist() == [[1, 4, 2][i] for i in batch.corpus_id]


def test_a_global_batch_that_does_not_divide_by_the_ranks_is_refused(corpora):
    with pytest.raises(UserError, match=r"batch of 10 .* by 4 ranks; take 8 or 12"):
        make(corpora).batches(0, 10, 0, 4)


@pytest.mark.parametrize("arguments", [(-1, 4, 0, 1), (0, 0, 0, 1), (0, 4, 2, 2), (0, 4, -1, 2)])
def test_an_impossible_place_in_the_stream_is_refused(corpora, arguments):
    with pytest.raises(ValueError, match="wanted 0 <= first_sample"):
        make(corpora).batches(*arguments)


def test_a_window_longer_than_a_corpus_is_refused_by_name(corpora):
    with pytest.raises(UserError, match="toy_gas has 12 frames, a window takes 10 \\+ 3"):
        make(corpora, target_frames=3)


def test_a_model_of_too_few_channels_is_refused_by_name(corpora):
    with pytest.raises(UserError, match="toy_gas has 4 channels, the model takes 3"):
        SampleStream(corpora, StreamConfig(), square(8, 3))


def test_a_batch_has_the_bytes_that_it_says(corpora):
    stream = make(corpora)
    batch = stream.decode(0, 5)
    tensors = (batch.given, batch.asked, batch.valid_mask)
    assert stream.batch_bytes(5) == sum(t.numel() * t.element_size() for t in tensors)
    stream.layout = ModelLayout(grid=(128, 128, 128), channels=4)
    assert stream.batch_bytes(1) == 377_487_360  # 369 MB of fields and a mask


@pytest.mark.parametrize(
    ("batches", "workers", "ahead"),
    [(100, 4, (4, 3)), (12, 4, (4, 3)), (9, 4, (4, 2)), (3, 4, (3, 1)), (0.5, 4, (1, 1))],
)
def test_what_is_decoded_ahead_is_bounded_by_bytes(corpora, batches, workers, ahead):
    bound = int(batches * make(corpora).batch_bytes(6))
    stream = make(corpora, workers=workers, prefetch=3, prefetch_bytes=bound)
    assert stream._ahead(6) == ahead


def test_a_bound_on_bytes_changes_no_sample(corpora):
    inline = take(make(corpora).batches(4, 6), 3)
    assert_same_samples(inline, take(make(corpora, workers=2, prefetch_bytes=1).batches(4, 6), 3))
