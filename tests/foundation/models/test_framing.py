"""Normalisation of what is given: a function of the values, not of how their grid is laid out."""

import pytest
import torch
from architectures import batch_of
from torch import nn

from data_shards.errors import UserError
from foundation.models.config import FieldConfig
from foundation.models.framing import framed, measured_scales
from foundation.models.network import Answer, FieldNetwork, modulated, statistics_maps
from foundation.moe.router import Routing

SLOTS = ("source", "k11", "k22", "k12")
USUAL = {"source": 0.25, "k11": 2.0, "k22": 3.0, "k12": 0.0}
GRIDS = {1: (1, 64), 2: (8, 8), 3: (4, 4, 4)}
WAYS = [
    {},
    {"instance_norm": True},
    {"target": "increment", "instance_norm": True},
    {"scales": USUAL, "slots": SLOTS},
]


def config(**options) -> FieldConfig:
    values = {"model_type": "pointwise", "resolution": 8, "context_frames": 3, **options}
    return FieldConfig.read(values, "test")


def problem(generator: torch.Generator, count: int = 2, side: int = 8) -> torch.Tensor:
    """Sources beside coefficients that are constant in space, (B, 1, 4, H, W)."""
    source = torch.randn(count, 1, 1, side, side, generator=generator)
    coefficients = 1 + torch.rand(count, 1, 3, 1, 1, generator=generator)
    return torch.cat([source, coefficients.expand(-1, -1, -1, side, side)], dim=2)


def test_a_source_is_divided_by_its_size_and_coefficients_by_it_and_the_usual_one(generator):
    given = problem(generator)
    inputs = framed(given, config(scales=USUAL, slots=SLOTS, context_frames=1)).inputs
    size = given[:, 0, 0].square().mean((1, 2)).sqrt() / 8 / 0.25  # norm times h^2: rms / side
    for channel, usual in enumerate((1.0, 2.0, 3.0, 1.0)):  # what is usually absent is left alone
        expected = given[:, 0, channel] / size[:, None, None] / usual
        torch.testing.assert_close(inputs[:, 0, channel], expected)


@pytest.mark.parametrize("factor", [1e-3, 10.0, 1e4])
def test_an_equation_multiplied_by_a_number_is_the_same_equation(generator, factor):
    given = problem(generator)
    way = config(scales=USUAL, slots=SLOTS)
    plain, multiplied = framed(given, way).inputs, framed(factor * given, way).inputs
    torch.testing.assert_close(multiplied, plain, rtol=1e-4, atol=1e-6)  # float32, twice divided


def test_absent_coefficients_stay_absent_and_no_source_gives_finite_numbers(generator):
    given = problem(generator)
    given[:, :, 2] = 0
    given[0] = 0
    inputs = framed(given, config(scales=USUAL, slots=SLOTS)).inputs
    assert (inputs[:, :, 2] == 0).all()
    assert torch.isfinite(inputs).all()


def test_what_is_asked_of_a_source_keeps_its_units(generator):
    seen = framed(problem(generator), config(scales=USUAL, slots=SLOTS, asked_channels=1))
    assert (seen.shift, seen.scale, seen.statistics_B2C) == (0, 1, None)


def test_measured_scales_make_the_median_sample_usual(generator):
    samples = problem(generator, count=5) * torch.rand(5, 1, 1, 1, 1, generator=generator)
    samples[:, :, 3] = 0
    scales = measured_scales(samples, SLOTS)
    sizes = samples[:, 0, 0].square().mean((1, 2)).sqrt() / 8
    expected = [sizes, *(samples[:, 0, channel, 0, 0] for channel in (1, 2, 3))]
    for slot, values in zip(SLOTS, expected, strict=True):
        assert scales.root[slot] == pytest.approx(float(values.median()), rel=1e-5)
    assert scales.of("k12") == 1.0
    again = measured_scales(framed(samples, config(scales=scales, slots=SLOTS)).inputs, SLOTS)
    assert again.root["source"] == pytest.approx(scales.root["source"], rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dimensions", [1, 3])
def test_a_line_and_a_box_are_normalised_as_a_plane_of_the_same_values(generator, way, dimensions):
    plane, answer = torch.randn(2, 2, 3, 4, 8, 8, generator=generator)
    grid = GRIDS[dimensions]
    seen = framed(plane, config(**way))
    again = framed(plane.reshape(2, 3, 4, *grid), config(**way))
    torch.testing.assert_close(again.inputs.flatten(3), seen.inputs.flatten(3))
    back = answer.reshape(2, 3, 4, *grid) * again.scale + again.shift
    torch.testing.assert_close(back.flatten(3), (answer * seen.scale + seen.shift).flatten(3))
    if way.get("instance_norm"):
        torch.testing.assert_close(again.statistics_B2C, seen.statistics_B2C)


class Pointwise(FieldNetwork):
    """The same map at every point, of a grid of any dimension."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.lift = nn.Linear(config.context_frames * config.channels, 6)
        if config.instance_norm:
            self.scale_features, self.shift_features = statistics_maps(config, 6)
        self.project = nn.Linear(6, config.out_frames * config.num_asked)

    def answer(
        self,
        inputs: torch.Tensor,
        statistics_B2C: torch.Tensor | None,
        decided: Routing | None,
    ) -> Answer:
        x = self.lift(inputs.flatten(1, 2).movedim(1, -1))
        if statistics_B2C is not None:
            x = modulated(x, statistics_B2C, self.scale_features, self.shift_features)
        fields = self.project(x.tanh()).movedim(-1, 1)
        return Answer(fields, terms={"size": fields.flatten(1).abs().mean(1)})


@pytest.mark.parametrize("way", [*WAYS, {"asked_channels": 2}, {"asked_channels": 1, **WAYS[1]}])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_network_predicts_what_is_asked_on_the_grid_it_is_given(generator, way, dimensions):
    options = {**way, "out_frames": 2}
    plane, other = (
        config(**options, dimensions=n, resolution=GRIDS[n][-1]) for n in (2, dimensions)
    )
    assert other.grid == other.layout.grid == GRIDS[dimensions]
    network = Pointwise(plane)
    given = torch.randn(2, 3, 4, 8, 8, generator=generator)
    expected = network(batch_of(given))
    found = network(batch_of(given.reshape(2, 3, 4, *other.grid)))
    assert found.fields.shape == (2, 2, way.get("asked_channels", 4), *other.grid)
    torch.testing.assert_close(found.fields.flatten(3), expected.fields.flatten(3))
    torch.testing.assert_close(found.terms["size"], expected.terms["size"])
    assert found.terms["size"].shape == (2,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dimensions": 4}, "dimensions: Input should be 1, 2 or 3"),
        ({"slots": ["a", "b"]}, r"slots \['a', 'b'\] name 2 channels, channels=4"),
        ({"slots": ["a", "b", "a", "c"]}, "name 3 channels, channels=4"),
        ({"scales": USUAL}, r"wanted one of each of the slots \[\], source among them"),
        ({"scales": USUAL, "slots": ["source", "k11", "k22", "x"]}, "'x'"),
        ({"scales": {"k11": 1.0}, "slots": SLOTS}, r"scales of \['k11'\]: wanted"),
        ({"scales": USUAL | {"k11": -1.0}, "slots": SLOTS}, "greater than or equal to 0"),
        ({"scales": USUAL | {"k11": float("nan")}, "slots": SLOTS}, "finite|greater"),
        ({"scales": USUAL, "slots": SLOTS, "instance_norm": True}, "both normalise"),
        ({"scales": USUAL, "slots": SLOTS, "target": "increment"}, "increment continues what is"),
        ({"asked_channels": 1, "target": "increment"}, "leave asked_channels and scales out"),
    ],
)
def test_what_contradicts_itself_is_told_in_one_line(values, message):
    with pytest.raises(UserError, match=message) as raised:
        config(**values)
    assert "\n" not in str(raised.value)


def test_how_a_context_is_normalised_has_a_name():
    assert [config(**way).normalise for way in WAYS] == ["none", "instance", "instance", "source"]


def test_configurations_are_keys_of_caches_whatever_their_scales():
    one, same, other = (
        config(scales=usual, slots=SLOTS) for usual in (USUAL, dict(USUAL), USUAL | {"k11": 5.0})
    )
    assert hash(one) == hash(same)
    assert one == same != other
    assert FieldConfig.read(one.model_dump(mode="json"), "again") == one


def test_keys_of_today_are_silent_in_the_hashes_of_yesterdays_configurations():
    assert config().canonical().keys() == {
        *("model_type", "resolution", "channels", "context_frames", "out_frames"),
        *("instance_norm", "target"),
    }
    assert config(asked_channels=1).canonical()["asked_channels"] == 1


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e5])
def test_a_network_may_be_told_the_logarithm_of_what_is_large(size, generator):
    given = size * (1 + torch.rand(2, 3, 4, 8, 8, generator=generator))
    plain, told = (
        framed(given, config(instance_norm=True, log_statistics=logarithm))
        for logarithm in (False, True)
    )
    torch.testing.assert_close(told.statistics_B2C.sinh(), plain.statistics_B2C)
    torch.testing.assert_close(told.inputs, plain.inputs)


def test_statistics_of_nothing_are_refused():
    with pytest.raises(UserError, match="set instance_norm=true"):
        config(log_statistics=True)
