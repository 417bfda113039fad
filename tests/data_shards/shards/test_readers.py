"""Law: ordinary readers of WebDataset tars see the arrays that were written."""

import numpy as np
import pytest
import webdataset

from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
@pytest.mark.parametrize("name", ["toy_flow", "toy_solid"])
def test_webdataset_reads_what_was_written(toy_folder, toy_trajectories, name):
    entry = read_manifest(toy_folder).entry(name, "train")
    urls = [str(toy_folder / shard.name) for shard in entry.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    trajectories = toy_trajectories(name)
    assert len(samples) == len(trajectories)
    for position, (sample, trajectory) in enumerate(zip(samples, trajectories, strict=True)):
        assert sample["__key__"] == f"train-{position:06d}"
        np.testing.assert_array_equal(sample["fields.npy"], trajectory.fields)
        np.testing.assert_array_equal(sample["mask.npy"], trajectory.full_mask)
        assert sample["meta.json"]["index"] == trajectory.index


def test_load_dataset_reads_all_corpora_at_once_and_keeps_every_parameter(
    toy_folder, toy_trajectories, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset(
        "webdataset",
        data_files={"train": str(toy_folder / "*-train-*.tar")},
        cache_dir=str(tmp_path),
        split="train",
    )
    written = [t for n in ("toy_flow", "toy_gas", "toy_solid") for t in toy_trajectories(n)]
    assert len(read) == len(written)
    for row, trajectory in zip(read, written, strict=True):
        assert row["meta.json"]["corpus"] == trajectory.corpus
        np.testing.assert_array_equal(np.float32(row["fields.npy"]), trajectory.fields)
        np.testing.assert_array_equal(np.float32(row["mask.npy"]), trajectory.full_mask)
        assert ("kind" in row["meta.json"]["parameters"]) == ("kind" in trajectory.parameters)


def test_our_reader_and_webdataset_agree_on_the_metadata(toy_folder):
    corpus = ShardedCorpus.open(toy_folder, "toy_flow", "train")
    assert corpus.metadata(1)["parameters"] == {"kind": "a", "viscosity": 0.2}
