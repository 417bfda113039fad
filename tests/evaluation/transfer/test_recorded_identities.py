"""What was recorded keeps its identity, whatever keys configurations get."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from architectures import config_of

from data_shards.catalogue import load_card
from data_shards.config import later
from data_shards.hashing import digest
from evaluation.transfer.record import TransferRecord, read_record
from evaluation.transfer.sweep import identity_of
from foundation.models.fno import FNOConfig
from foundation.train.config import RunConfig, load_run_config
from foundation.train.finetuning import load_finetuning
from foundation.train.losses import LossConfig

ROOT = Path(__file__).parents[3]
STUDY = ROOT / "evaluation" / "studies" / "baselines"
RECORDS = sorted(STUDY.glob("transfer-*/records/*.json"))
ENGINE = json.loads((ROOT / "ds_configs" / "zero1_fp32.json").read_text())
TRAJECTORIES = 64  # in the training split, as the study's README says


def planned_today(record: TransferRecord) -> str:
    """The identity of a recorded run, from today's presets, recipes and configurations."""
    facts = record.transfer
    card = load_card(facts.corpus)
    entry = SimpleNamespace(corpus=card.name, split="train", count=TRAJECTORIES, frames=card.frames)
    tuning = load_finetuning(
        facts.recipe,
        load_run_config("nano", []).model,
        entry,
        [*facts.overrides, f"seed={facts.seed}"],
        trajectories=facts.trajectories,
        from_scratch=facts.source == "scratch",
    )
    run = SimpleNamespace(
        source=facts.source,
        checkpoint_sha256=facts.checkpoint_sha256,
        validation_fingerprint=None,
        tuning=tuning,
        terms=SimpleNamespace(engine=ENGINE, limit=None),
        train_fingerprint=facts.train_fingerprint,
    )
    tests = record.record.provenance.shard_fingerprint
    return identity_of(run, tests, record.record.task)


def test_every_recorded_transfer_would_be_kept_today():
    """A key that joined without `data_shards.config.later` fails here."""
    records = [read_record(path) for path in RECORDS]
    assert len(records) == 36
    for record in records:
        assert planned_today(record) == record.transfer.identity, record.transfer


@pytest.mark.parametrize("preset", ["nano", "nano_dpot", "nano_fno", "nano_unet"])
def test_configurations_of_recorded_models_hash_as_they_did(preset):
    config = load_run_config(preset, []).model
    recorded = {
        record["model"]["config_hash"]
        for record in json.loads((STUDY / "study-runs.json").read_text())["records"]
        if record["model"]["model_type"] == config.model_type
    }
    assert recorded == {digest(config.canonical())}


class _LossOfTomorrow(LossConfig):
    smoothness: float = later(0.0)


class _FNOOfTomorrow(FNOConfig):
    gate: int = later(2)


class _RunOfTomorrow(RunConfig):
    model: _FNOOfTomorrow
    loss: _LossOfTomorrow = _LossOfTomorrow()
    places: int = later(1)


def test_keys_of_tomorrow_move_an_identity_only_where_they_say_something():
    values = {"model": config_of("fno").model_dump(), "steps": 3}
    before = digest(RunConfig.read(values, "today").deciding_values(hashed=True))

    def after(**changed: object) -> str:
        run = _RunOfTomorrow.model_validate({**values, **changed})
        return digest(run.deciding_values(hashed=True))

    assert after() == before
    changes = (
        {"places": 2},
        {"loss": {"smoothness": 0.5}},
        {"model": {**values["model"], "gate": 1}},
    )
    assert len({before, *(after(**change) for change in changes)}) == 1 + len(changes)
