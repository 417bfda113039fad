"""Laws of coarser runs: the same flow, cheaper and worse, the fewer the cells."""

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.generate.coarser import coarse_run, own_cells
from data_shards.generate.simulation import simulate


def _short(name: str):
    """A corpus of a dozen frames, as its small profile makes it."""
    card = load_card(name).at("small")
    return card.model_copy(update={"frames": 12})


@pytest.mark.parametrize("name", ["fno_ns_1e-3", "pdebench_swe"])
def test_a_coarser_run_is_the_same_flow_and_errs_less_the_more_cells_it_has(name: str) -> None:
    card = _short(name)
    where = {"split": "test", "index": 0, "seed": 0, "resolution": 32}
    card = card.model_copy(
        update={"generator_options": {**card.generator_options, "solver_resolution": 64}}
    )
    own = coarse_run(card, 64, **where)
    assert own is not None
    plain = simulate(card, split="test", index=0, seed=0, resolution=32)
    np.testing.assert_array_equal(own[0].fields, plain.fields)
    errors = []
    for cells in (8, 16):
        found = coarse_run(card, cells, **where)
        assert found is not None
        assert found[0].fields.shape[-2:] == (cells, cells)
        means = own[0].fields.reshape(12, 1, cells, 32 // cells, cells, 32 // cells).mean((3, 5))
        off = np.linalg.norm(found[0].fields - means) / np.linalg.norm(means)
        errors.append(off)
    assert errors[1] < errors[0] < 1


def test_a_noise_is_averaged_and_not_drawn_anew() -> None:
    card = _short("pdebench_dr")
    where = {"split": "test", "index": 1, "seed": 0, "resolution": 16}
    fine, coarse = coarse_run(card, 16, **where), coarse_run(card, 8, **where)
    assert fine is not None
    assert coarse is not None
    means = fine[0].fields[0].reshape(2, 8, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(coarse[0].fields[0], means, atol=1e-6)
    assert fine[0].parameters == coarse[0].parameters


def test_a_corpus_may_be_simulated_finer_than_it_is_kept() -> None:
    assert own_cells(load_card("fno_ns_1e-5").at("small"), 64) == 128
    assert own_cells(load_card("pdebench_dr").at("small"), 64) == 64
