"""Laws of the measured accuracy: a refined run is finer, and what it shows is the error."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, load_card
from data_shards.errors import UserError
from data_shards.generate import simulate
from data_shards.generate.accuracy import (
    REFINEMENTS,
    AccuracyRecord,
    measure,
    relative_l2,
)
from data_shards.generate.simulation import GENERATORS


def short(name: str, **options: object) -> CorpusCard:
    card = load_card(name)
    profile = card.profiles["small"].model_copy(update={"resolution": 32})
    changes = {
        "frames": 11,
        "rollout_frames": 1,
        "generator_options": card.generator_options | options,
        "profiles": {"small": profile},
    }
    return card.model_copy(update=changes)


def test_every_generator_says_how_a_run_is_refined():
    assert set(REFINEMENTS) == set(GENERATORS)


@pytest.mark.parametrize("name", [n for n in card_names() if load_card(n).generator])
def test_the_options_that_bound_the_error_are_the_solvers_and_change(name):
    card = load_card(name)
    refinement = REFINEMENTS[card.generator]
    judged = refinement.judged(card.generator_options, name)
    finer = refinement.finer(judged, resolution=64)
    assert judged
    assert set(judged) == set(finer)
    assert all(finer[key] != judged[key] for key in judged)
    refinement.judged(card.generator_options | finer, name)  # still valid options


def test_a_grid_below_the_output_is_doubled_from_the_output_on():
    refinement = REFINEMENTS["compressible"]
    assert refinement.finer({"solver_resolution": 64}, resolution=128) == {"solver_resolution": 256}
    assert refinement.finer({"solver_resolution": 96}, resolution=64) == {"solver_resolution": 256}
    assert refinement.finer({"solver_resolution": 128}, resolution=64) == {"solver_resolution": 256}


def test_the_record_holds_the_distance_to_the_finer_run():
    card = short("pdebench_swe", solver_resolution=32)
    record = measure(card, "small", index=2, seed=3)
    runs = [
        simulate(
            card.model_copy(update={"generator_options": card.generator_options | changes}),
            split="test", index=2, seed=3, resolution=32,
        ).fields.astype(float)
        for changes in ({}, {"solver_resolution": 64})
    ]  # fmt: skip
    expected = np.linalg.norm(runs[0] - runs[1]) / np.linalg.norm(runs[1])
    assert record.error["h"] == pytest.approx(expected, rel=1e-6)
    last = np.linalg.norm((runs[0] - runs[1])[-1]) / np.linalg.norm(runs[1][-1])
    assert record.error_last["h"] == pytest.approx(last, rel=1e-6)
    assert record.options == {"solver_resolution": 32}
    assert record.refined == {"solver_resolution": 64}
    assert 0 < record.seconds < record.refined_seconds
    assert record.parameters["dam_radius"] > 0


def test_a_finer_solver_has_the_smaller_error():
    errors = [
        measure(short("pdebench_swe", solver_resolution=cells), "small").error["h"]
        for cells in (32, 128)
    ]
    assert 0 < errors[1] < 0.5 * errors[0]


def test_solid_cells_of_either_run_do_not_count():
    card = short("cfdbench")
    flow = simulate(card, split="test", index=2, seed=0, resolution=32)
    assert flow.mask is not None
    other = flow.mask.copy()
    other[:, :3] = 0
    fields = np.where(other, flow.fields, 1e3).astype(np.float32)
    changed = type(flow)(
        fields, flow.corpus, flow.index, flow.seed, flow.dt_s, flow.extent, flow.boundary,
        flow.parameters, other,
    )  # fmt: skip
    assert relative_l2(changed, flow, card, slice(None)) == {"u": 0.0, "v": 0.0}


def test_what_cannot_be_measured_is_the_users_error():
    card = short("pdebench_swe")
    with pytest.raises(UserError, match="profile"):
        measure(card, "published")
    with pytest.raises(UserError, match="declares no refined run"):
        measure(card.model_copy(update={"generator": None}), "small")


RECORDED = Path(__file__).parents[3] / "evaluation" / "studies" / "generators" / "accuracy.json"


def test_the_recorded_study_measures_every_corpus_as_its_card_is_now_or_was():
    records = [
        AccuracyRecord.read(r, "record") for r in json.loads(RECORDED.read_text())["records"]
    ]
    by_card = {name: load_card(name) for name in card_names() if load_card(name).generator}
    assert {record.corpus for record in records} >= set(by_card)
    for record in records:
        card = load_card(record.corpus)
        if record.version != card.version:  # the same solver on the corpus of an earlier card
            card = load_card(f"{record.corpus}@{record.version}")
        refinement = REFINEMENTS[card.generator]
        options = card.at(record.profile).generator_options
        assert record.version == card.version
        assert record.options == pytest.approx(refinement.judged(options, record.corpus))
        assert record.refined == pytest.approx(refinement.finer(record.options, record.resolution))
        assert max(record.error.values()) < 1
