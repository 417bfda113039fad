"""Ground states through the trainer: what is unlabelled is seen, not scored, and told of."""

import json
from pathlib import Path

import pytest
from group import on_ranks
from runs import rows
from states import LABELLED, UNLABELLED, write_states

pytestmark = pytest.mark.dist


def pretrain_states(shards: Path, output: Path) -> int:
    """Four steps of PG-MoE on four spins."""
    from launchers.pretrain import main

    words = ["--preset", "pg_moe", "--shards", str(shards), "--output", str(output)]
    return main(
        [
            *words,
            "model.resolution=16",
            f"data.corpora=[{LABELLED}, {UNLABELLED}]",
            f"data.unlabelled=[{UNLABELLED}]",
            *("steps=4", "global_batch=8", "log_every=1"),
        ]
    )


def test_a_run_on_two_ranks_learns_energies_of_what_is_unlabelled(tmp_path):
    shards = write_states(tmp_path / "shards", LABELLED, UNLABELLED)
    assert on_ranks(2, pretrain_states, shards, tmp_path / "run") == [0, 0]
    logged = rows(tmp_path / "run")
    assert len(logged) == 4
    for row in logged:
        assert row["corpus_loss"].get(UNLABELLED, 0.0) == 0.0
        assert row["terms"]["energy"] > -1.5  # never below the exact ones, at fields up to 1.1
        shares = row["expert_load"][0]
        assert len(shares) == 5
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert any(row["corpus_loss"].get(LABELLED, 0.0) > 0 for row in logged)
    about = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["about"]
    assert about["unlabelled"] == [UNLABELLED]
