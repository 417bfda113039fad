"""A model card tells what records of this very checkpoint say, in the Hub's own form."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from board_records import TASKS as KNOWN
from board_records import board_record, save_board_records
from box_flows import CUBES, SIDE, box_config, box_network
from huggingface_hub import EvalResultEntry, ModelCard, eval_result_entries_to_yaml
from runs import write_checkpoint

from data_shards.errors import UserError
from data_shards.shards.manifest import read_manifest
from evaluation.board.hub_results import eval_results
from evaluation.board.model_card import read_evidence, write_card
from evaluation.records.record import Record
from evaluation.routing.fingerprints import CorpusFingerprint, Fingerprints
from foundation import Surrogate
from foundation.checkpoint.folder import fingerprint_of, save_folder
from foundation.physics.staggered import divergence

TASKS = [KNOWN[name] for name in ("zero_shot_pdebench_dr", "zero_shot_pdebench_swe")]
DATASET = "owner/pde-shards"


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_checkpoint(tmp_path / "nano", "moe_pot")


def of(folder: Path, record: Record) -> Record:
    """The record, as if it were of this checkpoint."""
    facts = record.model.model_copy(update={"fingerprint": fingerprint_of(folder)})
    return record.model_copy(update={"model": facts})


@pytest.fixture
def records(folder, tmp_path) -> Path:
    """Two tasks of this checkpoint, one of another one, in one folder."""
    ours = [of(folder, board_record("nano", v, t)) for v, t in ((0.125, TASKS[0]), (0.5, TASKS[1]))]
    (tmp_path / "records").mkdir()
    save_board_records(tmp_path / "records" / "ours.json", ours)
    save_board_records(
        tmp_path / "records" / "theirs.json", [board_record("theirs", 0.0625, TASKS[0])]
    )
    return tmp_path / "records"


def test_the_hub_reads_front_matter_and_results(folder, records):
    assert write_card(folder, read_evidence(records), DATASET, "mit") == []
    card = ModelCard.load(folder / "README.md")
    data = card.data
    assert (data.license, data.library_name) == ("mit", "moe-pot")
    assert data.pipeline_tag == "time-series-forecasting"
    assert data.datasets == [DATASET]
    assert {"pde", "mixture-of-experts", "moe-pot"} <= set(data.tags)
    found = {(e.task_name, e.dataset_type): e.metric_value for e in data.eval_results}
    assert found == {(TASKS[0].name, DATASET): 0.125, (TASKS[1].name, DATASET): 0.5}
    assert data.model_name == "nano"
    assert "0.0625" not in card.text, "another checkpoint's record"
    assert Surrogate.from_pretrained(folder).parameter_counts().total > 0


def test_the_text_tells_figures_errors_conditions_and_commands(folder, records):
    write_card(folder, read_evidence(records))
    text = (folder / "README.md").read_text()
    for wanted in (
        "0.125",
        "0.0063",  # its standard error
        "8 of 8",
        "Commit `0123456789ab`, 2026-01-01, 2 cores of Some CPU",
        f"--tasks {TASKS[0].name},{TASKS[1].name}",
        fingerprint_of(folder),
        '"seed": 5',
    ):
        assert wanted in text, wanted


def test_eval_results_are_what_the_hubs_library_would_write(folder, records):
    write_card(folder, read_evidence(records), DATASET)
    files = sorted((folder / ".eval_results").iterdir())
    assert [path.name for path in files] == sorted(f"{t.name}.yaml" for t in TASKS[:2])
    for path, value in zip(files, (0.125, 0.5), strict=True):
        (written,) = yaml.safe_load(path.read_text())
        entry = EvalResultEntry(
            dataset_id=DATASET,
            task_id=path.stem,
            value=value,
            date="2026-01-01T00:00:00+00:00",
            notes=written["notes"],
        )
        assert [written] == eval_result_entries_to_yaml([entry])
        assert "lower is better: mean of 8 samples ± 0.0" in written["notes"]


def test_a_diverged_forecast_is_a_word_and_no_number(folder, tmp_path):
    record = of(folder, board_record("nano", math.inf, TASKS[0]))
    save_board_records(tmp_path / "results.json", [record])
    notes = write_card(folder, read_evidence(tmp_path / "results.json"), DATASET)
    assert notes == [
        f".eval_results/ has no form for a diverged forecast: {TASKS[0].name} left out"
    ]
    front = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == "diverged"
    assert eval_results([record], DATASET) == {}


def test_without_records_of_this_checkpoint_no_figure_is_told(folder, records):
    (records / "ours.json").unlink()
    notes = write_card(folder, read_evidence(records))
    assert notes == [
        "no record is of this checkpoint, they are of theirs; evaluate it and write the card again"
    ]
    text = (folder / "README.md").read_text()
    assert "model-index" not in text
    assert "## Results" not in text
    assert not (folder / ".eval_results").exists()


def test_of_two_records_on_one_task_the_newest_counts(folder, tmp_path):
    first, last = (of(folder, board_record("nano", value, TASKS[0])) for value in (0.25, 0.75))
    later = last.provenance.model_copy(update={"date": "2026-02-01T00:00:00+00:00"})
    last = last.model_copy(update={"provenance": later})
    (tmp_path / "both").mkdir()
    save_board_records(tmp_path / "both" / "a.json", [last])
    save_board_records(tmp_path / "both" / "b.json", [first])
    own = read_evidence(tmp_path / "both").of(fingerprint_of(folder))
    assert [record.headline.value for record in own.records] == [0.75]


def test_statistics_are_those_of_the_training_shards(tmp_path, waves):
    corpora = list(dict.fromkeys(e.corpus for e in read_manifest(waves).entries))
    entry = read_manifest(waves).find(corpora[0], "train")
    assert entry is not None
    folder = write_checkpoint(tmp_path / "nano")
    values = json.loads((folder / "config.json").read_text())
    launch = {"world": 2, "ep_size": 2, "shards": "my shards"}
    launch["shards_sha256"] = {corpora[0]: entry.fingerprint}
    overrides = ["steps=8", "data.weights={a: 1}"]
    values["about"] = {"preset": "debug", "overrides": overrides, "corpora": corpora}
    values["about"] |= {"steps": 8, "launch": launch}
    (folder / "config.json").write_text(json.dumps(values))
    write_card(folder, read_evidence(None, waves))
    text = (folder / "README.md").read_text()
    assert f"{entry.statistics[0].mean:.4g} | {entry.statistics[0].std:.4g}" in text
    assert "Not the very shards" not in text
    assert (
        "deepspeed --num_accelerators 2 launchers/pretrain.py --preset debug --shards 'my shards' "
        "--ep-size 2 --output RUN steps=8 'data.weights={a: 1}'"
    ) in text
    launch["shards_sha256"] = {corpora[0]: "0" * 64}
    (folder / "config.json").write_text(json.dumps(values))
    write_card(folder, read_evidence(None, waves))
    assert (
        f"Not the very shards that were trained on: {corpora[0]}"
        in (folder / "README.md").read_text()
    )


def routes(model: str) -> Fingerprints:
    shares = tuple(0.5 if e == 7 else 0.5 / 15 for e in range(16))
    entry = CorpusFingerprint(
        corpus="pdebench_swe",
        split="train",
        windows=4,
        trajectories=2,
        shards="0" * 64,
        probabilities=(shares, shares),
    )
    return Fingerprints(
        model=model, temperature=1.0, context_frames=10, start="random", corpora=(entry,)
    )


def test_routing_fingerprints_lie_beside_the_weights_they_are_of(folder, tmp_path):
    path = tmp_path / "routes.json"
    path.write_text(routes(fingerprint_of(folder)).model_dump_json())
    write_card(folder, read_evidence(None, None, path))
    assert "| `pdebench_swe` | train | 4 | 7: 50 %" in (folder / "README.md").read_text()
    before = (folder / "fingerprints.json").read_bytes()
    write_card(folder, read_evidence(None))
    assert (folder / "fingerprints.json").read_bytes() == before
    assert "## Routing" in (folder / "README.md").read_text()
    path.write_text(routes("f" * 64).model_dump_json())
    with pytest.raises(UserError, match="the fingerprints are of model ffffffffff"):
        write_card(folder, read_evidence(None, None, path))


def test_somebodys_own_card_stays_and_ours_is_written_anew(folder, records):
    write_card(folder, read_evidence(None))
    bare = (folder / "README.md").read_text()
    write_card(folder, read_evidence(records), DATASET)
    assert (folder / "README.md").read_text() != bare
    (folder / "README.md").write_text("# My words\n")
    notes = write_card(folder, read_evidence(records), DATASET)
    assert (folder / "README.md").read_text() == "# My words\n"
    assert any("stays as it is" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "given"), [("flow_tokenizer", "frames"), ("shodh_moe", "context")]
)
def test_the_snippet_of_a_model_of_boxes_runs_as_it_stands(tmp_path, name, given, monkeypatch):
    folder = tmp_path / name
    save_folder(folder, box_config(name), box_network(name).state_dict(), {})
    write_card(folder, read_evidence(None))
    text = (folder / "README.md").read_text()
    snippet = text.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet, names)
    result = names["same" if name == "flow_tokenizer" else "future"]
    assert f"# {tuple(result.shape)}" in snippet
    assert f"{given} = torch.randn({', '.join(map(str, names[given].shape))})" in snippet
    assert result.dtype == torch.float64
    speed = result[..., :3, :, :, :].square().sum(-4).mean().sqrt()
    assert divergence(result[..., :3, :, :, :], CUBES).abs().max() * SIDE < 1e-11 * speed
    assert "trained or not" in text
    assert ("tokenizer of flows" in text) == (name == "flow_tokenizer")


def test_a_free_decoder_promises_nothing(tmp_path):
    free = {"width": 4, "levels": 1, "latent_channels": 3, "velocity": "free"}
    config, network = (f("flow_tokenizer", autoencoder=free) for f in (box_config, box_network))
    save_folder(tmp_path / "free", config, network.state_dict(), {})
    write_card(tmp_path / "free", read_evidence(None))
    text = (tmp_path / "free" / "README.md").read_text()
    assert "is learnt" in text
    assert "By construction" not in text


@pytest.mark.parametrize("name", ["dpot", "fno", "unet"])
def test_any_architecture_has_a_card(tmp_path, name):
    folder = write_checkpoint(tmp_path / name, name)
    write_card(folder, read_evidence(None))
    data = ModelCard.load(folder / "README.md").data
    assert name in data.tags
    assert "mixture-of-experts" not in data.tags


def test_the_terms_of_what_others_published_are_not_made_up(folder):
    values = json.loads((folder / "config.json").read_text())
    values["about"] = {"imported": {"file": "model Ti.pth"}}
    (folder / "config.json").write_text(json.dumps(values))
    write_card(folder, read_evidence(None))
    assert ModelCard.load(folder / "README.md").data.license == "other"
    assert "import-reference 'model Ti.pth' OUT" in (folder / "README.md").read_text()


def test_what_is_no_evidence_is_refused(folder, tmp_path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match="not a results file"):
        read_evidence(tmp_path / "other.json")
    with pytest.raises(UserError, match=r"nowhere\.json: no such file"):
        read_evidence(None, None, tmp_path / "nowhere.json")
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="not a checkpoint folder"):
        write_card(folder, read_evidence(None))
