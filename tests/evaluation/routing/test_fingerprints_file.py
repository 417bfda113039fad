"""Laws of the fingerprints file: read as written, refused where it does not belong."""

import json
from pathlib import Path

import numpy as np
import pytest
from handmade_routes import handmade

from data_shards.errors import UserError
from evaluation.routing.fingerprints import (
    FINGERPRINTS,
    Fingerprints,
    fingerprint,
    read_fingerprints,
    save_fingerprints,
)


@pytest.fixture
def saved(rng: np.random.Generator) -> Fingerprints:
    corpora = tuple(
        fingerprint(
            handmade(name, rng.dirichlet(np.ones(4), size=(6, 2)), np.arange(6) // 2),
            "train",
            f"shards of {name}",
        )
        for name in ("a", "b")
    )
    return Fingerprints(
        model="abc", temperature=0.5, context_frames=10, start="random", corpora=corpora
    )


def test_a_fingerprint_is_the_mean_distribution_of_its_windows(rng: np.random.Generator) -> None:
    routes = handmade("a", rng.dirichlet(np.ones(4), size=(6, 2)), np.arange(6) // 3)
    entry = fingerprint(routes, "train", "x")
    np.testing.assert_allclose(entry.probabilities, routes.probabilities_NLE.mean(0), rtol=1e-6)
    assert (entry.windows, entry.trajectories) == (6, 2)


def test_what_is_written_is_read(saved: Fingerprints, tmp_path: Path) -> None:
    assert save_fingerprints(saved, tmp_path) == tmp_path / "fingerprints.json"
    assert read_fingerprints(tmp_path, "abc") == saved
    assert saved.probabilities_KLE.shape == (2, 2, 4)


def test_fingerprints_of_another_model_are_refused(saved: Fingerprints, tmp_path: Path) -> None:
    save_fingerprints(saved, tmp_path)
    with pytest.raises(UserError, match="of model abc, this checkpoint is def"):
        read_fingerprints(tmp_path, "def")


def _no_distribution(values: dict) -> None:  # type: ignore[type-arg]
    values["corpora"][0]["probabilities"][1][0] += 0.1


def _twice(values: dict) -> None:  # type: ignore[type-arg]
    values["corpora"][1]["corpus"] = "a"


def _other_shape(values: dict) -> None:  # type: ignore[type-arg]
    values["corpora"][0]["probabilities"].pop()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_distribution, "a, block 1: not a distribution"),
        (_twice, "a corpus twice among a, a"),
        (_other_shape, "corpora differ in blocks"),
    ],
)
def test_damage_is_told(damage, message, saved: Fingerprints, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save_fingerprints(saved, tmp_path)
    path = tmp_path / FINGERPRINTS
    values = json.loads(path.read_text())
    damage(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        read_fingerprints(tmp_path, "abc")


def test_a_missing_or_unreadable_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--save-fingerprints"):
        read_fingerprints(tmp_path, "abc")
    (tmp_path / FINGERPRINTS).write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        read_fingerprints(tmp_path, "abc")
