"""The statistics on the cards are those of what their generators give."""

import numpy as np
import pytest

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, load_card
from data_shards.generate.driver import generate_corpus

GENERATED = [name for name in card_names() if load_card(name).generator]
CHEAP = ("wave_gauss", "elliptic_poisson", "pdebench_dr")  # tens of milliseconds each
FRESH = 16  # trajectories that the cards have not seen
# Two independent samples of one distribution differ by more than 5 standard errors once in a
# million times; the distributions of means over trajectories have tails a little heavier.
ERRORS = 5


@pytest.mark.parametrize("name", GENERATED)
def test_every_generated_corpus_has_statistics_of_its_channels_in_order(name):
    card = load_card(name)
    assert [values.name for values in card.statistics] == list(card.channel_names)
    for values in card.statistics:
        assert values.min <= values.mean <= values.max
        assert 0 < values.std <= values.max - values.min


def fresh_fields(card: CorpusCard) -> np.ndarray:
    """Trajectories of the small profile with random numbers of their own, (N, T, C, *grid)."""
    trajectories = generate_corpus(
        card.at("small"),
        split="train",
        count=FRESH,
        resolution=card.profiles["small"].resolution,
        seed=12345,
    )
    return np.stack([trajectory.fields for trajectory in trajectories]).astype(np.float64)


@pytest.mark.parametrize("name", CHEAP)
def test_fresh_trajectories_agree_with_the_card_within_sampling_error(name):
    card = load_card(name)
    on_card = card.profiles["small"].trajectories["train"]
    fields = fresh_fields(card)
    for channel, values in enumerate(card.statistics):
        x = fields[:, :, channel].reshape(FRESH, -1)
        share = (1 / FRESH + 1 / on_card) ** 0.5
        means = x.mean(axis=1)
        allowed = ERRORS * share * means.std(ddof=1) + 1e-4 * values.std  # the card's digits
        assert abs(means.mean() - values.mean) < allowed
        squares = ((x - values.mean) ** 2).mean(axis=1)
        spread = ERRORS * share * squares.std(ddof=1) + 1e-3 * values.std**2
        assert abs(squares.mean() - values.std**2) < spread
        # The test has teeth: a mean off by its standard deviation, or a wrong unit, is noticed.
        assert allowed < values.std
        reach = values.max - values.min
        assert values.min - reach < x.min() < x.max() < values.max + reach
