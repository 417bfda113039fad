"""Laws of the data set card: front matter that the Hub takes, and files that are there."""

import numpy as np
import pytest
import yaml

from data_shards.shards.dataset_card import CARD, MARK, dataset_card, licence_of, write_dataset_card
from data_shards.shards.manifest import Manifest, Provenance, SourceFile, read_manifest

# Of the Hub's closed lists, as its documentation has them.
HUB_SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"}
HUB_LICENSES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "other"}


def front_of(text: str) -> dict:
    start, front, body = text.split("---\n", 2)
    assert start == ""
    assert body.startswith("\n# ")
    return yaml.safe_load(front)


def test_it_lies_beside_the_manifest_and_names_every_split_and_no_other(toy_folder):
    text = (toy_folder / CARD).read_text()
    manifest = read_manifest(toy_folder)
    assert text == dataset_card(manifest)
    named = {
        (config["config_name"], files["split"])
        for config in front_of(text)["configs"]
        for files in config["data_files"]
    }
    assert named == {(entry.corpus, entry.split) for entry in manifest.entries}


def test_every_pattern_matches_the_shards_of_its_split_and_nothing_else(toy_folder):
    manifest = read_manifest(toy_folder)
    for config in front_of((toy_folder / CARD).read_text())["configs"]:
        for files in config["data_files"]:
            found = {path.name for path in toy_folder.glob(files["path"])}
            entry = manifest.entry(config["config_name"], files["split"])
            assert found == {shard.name for shard in entry.shards}


def test_a_corpus_does_not_take_the_shards_of_another_with_a_similar_name(tmp_path, toy_folder):
    entry = read_manifest(toy_folder).entries[0]
    for name in ("x", "x-train"):
        (tmp_path / f"{name}-train-000000.tar").touch()
    (config,) = front_of(
        dataset_card(Manifest(entries=(entry.model_copy(update={"corpus": "x"}),)))
    )["configs"]
    (files,) = config["data_files"]
    assert [path.name for path in tmp_path.glob(files["path"])] == ["x-train-000000.tar"]


def test_converted_data_are_not_said_to_be_generated_here(toy_folder):
    entry = read_from_files(
        read_manifest(toy_folder).entries[0],
        "generated here: Apache-2.0; the published files: CC-BY-4.0",
    )
    card = entry.card.model_copy(update={"source": "a solver, generated here"})
    text = dataset_card(Manifest(entries=(entry.model_copy(update={"card": card}),)))
    assert "generated here" not in text
    assert "Generator:" not in text
    assert "Licence: CC-BY-4.0" in text
    assert "Source: published files (raw.h5), read by reader version 1" in text


def test_many_raw_files_are_counted_and_not_all_named(toy_folder):
    entry = read_from_files(read_manifest(toy_folder).entries[0], "MIT")
    sources = tuple(SourceFile(name=f"case{n}", bytes=1) for n in range(842))
    provenance = entry.provenance.model_copy(update={"sources": sources})
    text = dataset_card(Manifest(entries=(entry.model_copy(update={"provenance": provenance}),)))
    assert "842 files: case0, ..., case841" in text
    assert "case400" not in text


def test_the_hubs_own_library_reads_it(toy_folder):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.DatasetCard((toy_folder / CARD).read_text(), ignore_metadata_errors=False)
    assert set(card.data.size_categories) <= HUB_SIZES
    assert card.data.license in HUB_LICENSES
    assert card.data.task_categories == ["time-series-forecasting"]
    assert card.data.pretty_name


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_load_dataset_finds_every_corpus_as_a_configuration(
    toy_folder, toy_trajectories, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    names = datasets.get_dataset_config_names(str(toy_folder))
    assert sorted(names) == ["toy_flow", "toy_gas", "toy_solid"]
    for name in names:
        rows = datasets.load_dataset(str(toy_folder), name, split="train", cache_dir=str(tmp_path))
        written = toy_trajectories(name)
        assert len(rows) == len(written)
        assert {row["meta.json"]["corpus"] for row in rows} == {name}
        np.testing.assert_array_equal(np.float32(rows[0]["fields.npy"]), written[0].fields)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_what_it_says_about_loading_is_true(toy_folder, toy_trajectories, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = (toy_folder / CARD).read_text()
    programs = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(programs) == 3
    for program in programs:
        names: dict = {}
        exec(program.replace("FOLDER", str(toy_folder)), names)
        if "samples" in names:
            names["samples"].close()
        came = np.float32(names["window"] if "window" in names else names["fields"])
        assert len(came) >= 11
        np.testing.assert_array_equal(came[:11], toy_trajectories("toy_flow")[0].fields[:11])


def test_a_readme_of_somebody_else_stays(own_folder, write_toy):
    (own_folder / CARD).write_text("# My own words\n")
    write_toy(own_folder, "toy_gas")
    assert (own_folder / CARD).read_text() == "# My own words\n"
    assert not write_dataset_card(own_folder, read_manifest(own_folder))
    assert not list(own_folder.glob(".README*"))


def test_our_own_is_replaced_when_a_corpus_comes(own_folder, write_toy):
    before = (own_folder / CARD).read_text()
    assert MARK in before
    write_toy(own_folder, "toy_gas")
    after = (own_folder / CARD).read_text()
    assert "toy_gas" in after
    assert "toy_gas" not in before


def read_from_files(entry, licence: str):
    provenance = Provenance(
        producer="reader", version=1, seed=-1, sources=(SourceFile(name="raw.h5", bytes=3),)
    )
    card = entry.card.model_copy(update={"license": licence})
    return entry.model_copy(update={"provenance": provenance, "card": card})


def with_licence(manifest: Manifest, licence: str) -> Manifest:
    return Manifest(entries=(read_from_files(manifest.entries[0], licence),))


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("generated here: Apache-2.0; the published files: CC-BY-4.0 (DaRUS)", "cc-by-4.0"),
        ("generated here: Apache-2.0; the published files: CC-BY-NC-4.0", "cc-by-nc-4.0"),
        ("generated here: Apache-2.0; the published files: MIT", "mit"),
        ("MIT", "mit"),
        ("generated here: Apache-2.0; the published files: the distributor's", "other"),
        ("", "other"),
    ],
)
def test_converted_files_keep_the_licence_of_their_authors(toy_folder, licence, wanted):
    front = front_of(dataset_card(with_licence(read_manifest(toy_folder), licence)))
    assert front["license"] == wanted
    assert ("license_name" in front) == (wanted == "other")


def test_generated_data_are_ours_whatever_the_published_files_are(toy_folder):
    entry = read_manifest(toy_folder).entries[0]
    card = entry.card.model_copy(
        update={"license": "generated here: Apache-2.0; the published files: CC-BY-NC-4.0"}
    )
    assert licence_of(entry.model_copy(update={"card": card})) == "Apache-2.0"


def test_several_licences_are_all_named(toy_folder):
    entries = read_manifest(toy_folder).entries
    both = Manifest(entries=(entries[0], read_from_files(entries[1], "CC-BY-4.0")))
    assert front_of(dataset_card(both))["license"] == ["apache-2.0", "cc-by-4.0"]


@pytest.mark.parametrize(
    ("count", "size"), [(1, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K")]
)
def test_the_size_category_follows_the_number_of_trajectories(toy_folder, count, size):
    entry = read_manifest(toy_folder).entries[0].model_copy(update={"count": count})
    assert front_of(dataset_card(Manifest(entries=(entry,))))["size_categories"] == [size]


def test_raw_files_are_named_as_the_origin(toy_folder):
    text = dataset_card(with_licence(read_manifest(toy_folder), "MIT"))
    assert "published files (raw.h5), read by reader version 1" in text


def test_a_folder_without_corpora_has_a_card_too():
    assert "configs" not in front_of(dataset_card(Manifest()))
