"""Laws of conservation drift, and of the table of what equations conserve."""

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor

from data_shards.catalogue import card_names, ladder_names, load_card, load_ladder
from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from evaluation.metrics.equations import conserved, sides, solenoidal
from evaluation.metrics.expression import evaluate, names_of
from evaluation.metrics.forecast import Forecast
from evaluation.metrics.registry import measure

GAS = load_card("pdebench_cns_m0.1")
DRIFTS = ("drift_mass", "drift_momentum", "drift_energy")


def _gas(density: Tensor | float) -> Tensor:
    """Two frames of a gas at Vx 3, Vy 4, pressure 1: (1, 2, 4, 8, 8)."""
    fields = torch.ones(1, 2, 4, 8, 8)
    fields[:, :, 0], fields[:, :, 1] = 3.0, 4.0
    fields[:, :, 2] = density
    return fields


def _forecast(pred: Tensor, true: Tensor) -> Forecast:
    return forecast_of(
        pred,
        true,
        channels=GAS.channel_names,
        conserved=conserved(GAS),
        origin=Origin(parameters={"gamma": 5 / 3, "mach": 0.1}),
    )


def test_drifts_of_a_gas_by_hand() -> None:
    true, pred = _gas(2.0), _gas(2.0)
    pred[:, 1, 2] = 2.5  # in the second frame it has gained a quarter of its mass
    values = measure(DRIFTS, _forecast(pred, true))
    assert values["drift_mass"].item() == pytest.approx(0.5 / 2)
    assert values["drift_momentum"].item() == pytest.approx(2.5 / 10)  # 0.5 * (3, 4) of 2 * (3, 4)
    energy = 1 / (5 / 3 - 1) + 2 * (9 + 16) / 2
    assert values["drift_energy"].item() == pytest.approx(0.5 * 25 / 2 / energy)


def test_moving_what_is_there_is_no_drift(generator: torch.Generator) -> None:
    true = _gas(1 + torch.rand(8, 8, generator=generator))
    values = measure(DRIFTS, _forecast(true.roll((3, 2), (-2, -1)), true))
    # 1e-12: sums in double, in another order
    assert all(value.item() < 1e-12 for value in values.values())


def test_circulation_is_measured_in_units_of_the_vorticity_where_its_mean_is_zero() -> None:
    card = load_card("fno_ns_1e-3")
    true = torch.ones(1, 1, 1, 8, 8)
    true[..., ::2] = -1.0  # mean 0, rms 1
    forecast = forecast_of(true + 0.25, true, channels=("vorticity",), conserved=conserved(card))
    assert measure(("drift_circulation",), forecast)["drift_circulation"].item() == 0.25


def test_the_worst_frame_counts() -> None:
    true = torch.ones(1, 3, 1, 4, 4)
    pred = true + torch.tensor([0.1, -0.4, 0.2]).reshape(1, 3, 1, 1, 1)
    forecast = forecast_of(pred, true, channels=("h",), conserved={"mass": ("h",)})
    assert measure(("drift_mass",), forecast)["drift_mass"].item() == pytest.approx(0.4)


def test_a_parameter_that_trajectories_lack_is_named() -> None:
    forecast = forecast_of(
        _gas(1.0), _gas(1.0), channels=GAS.channel_names, conserved=conserved(GAS)
    )
    with pytest.raises(UserError, match="gamma is neither a channel nor a parameter"):
        measure(("drift_energy",), forecast)


def _all_cards() -> list[str]:
    rungs = [name for ladder in ladder_names() for name in load_ladder(ladder).rung_names()]
    return [*card_names(), *rungs]


@pytest.mark.parametrize("name", _all_cards())
def test_laws_speak_of_channels_and_parameters_that_the_corpus_has(name: str) -> None:
    card = load_card(name)
    known = {*card.channel_names, *card.parameters}
    for texts in conserved(card).values():
        for text in texts:
            assert names_of(text) <= known
    assert set(solenoidal(card) or ()) <= set(card.channel_names)


@pytest.mark.parametrize(
    ("corpus", "quantities"),
    [
        ("pdebench_cns_m0.1", {"mass", "momentum", "energy"}),
        ("fno_ns_1e-5", {"circulation"}),
        ("pdebench_swe", {"mass"}),
        ("pdebench_dr", set()),
        ("cfdbench", set()),
        ("pdearena_ns", set()),
    ],
)
def test_a_corpus_conserves_what_its_equation_and_sides_do(
    corpus: str, quantities: set[str]
) -> None:
    assert set(conserved(load_card(corpus))) == quantities


def test_sides_that_let_mass_out_conserve_nothing() -> None:
    card = GAS.model_copy(update={"boundary": {**(GAS.boundary or {}), "left": "outflow"}})
    assert conserved(card) == {}


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("fno_ns_1e-3", ()),
        ("pdebench_dr", ("left", "right", "bottom", "top")),
        ("cfdbench", ("left", "right", "bottom", "top")),
        ("pdebench_diff_sorp", ("left", "right")),
    ],
)
def test_sides_are_those_at_which_something_is_imposed(
    corpus: str, expected: tuple[str, ...]
) -> None:
    assert sides(load_card(corpus)) == expected


@pytest.mark.parametrize(
    ("text", "value"), [("a + b * 2", 8.0), ("-(a - b) ** 2 / 4", -0.25), ("a / (b - 1)", 1.0)]
)
def test_expressions_are_arithmetic(text: str, value: float) -> None:
    assert evaluate(text, {"a": 2.0, "b": 3.0}) == value


@pytest.mark.parametrize(
    "text", ["__import__('os')", "a.b", "a[0]", "a if b else c", "f(a)", "'a'", "a +", "a @ b"]
)
def test_nothing_but_arithmetic_is_an_expression(text: str) -> None:
    with pytest.raises(UserError, match="expression"):
        names_of(text)
