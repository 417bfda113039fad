"""Objectives by hand, which points they see, and the weights of a network's own terms."""

from dataclasses import replace

import pytest
import torch
from architectures import half_masked_batch

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.train.objectives import (
    OBJECTIVES,
    LossConfig,
    Ramp,
    points_of,
    relative_error,
)

OF_FIELDS = [name for name in OBJECTIVES if name not in ("terms", "residual")]
BY_CELLS = [name for name in OF_FIELDS if name != "structure"]  # whose slopes are of neighbours
GRIDS = [(7,), (3, 5), (2, 3, 4)]
FRAMES, CHANNELS = 2, 3


def batch_on(grid: tuple[int, ...], generator: torch.Generator) -> Batch:
    """Random fields of four samples, with padded channels and solid cells."""
    fields = torch.randn(4, FRAMES, CHANNELS, *grid, generator=generator)
    asked_mask = torch.tensor([[1.0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0]])
    valid = (torch.rand(4, 1, *grid, generator=generator) > 0.3).float()
    return Batch(fields[:, :1], fields, asked_mask, valid, torch.zeros(4).long(), ("",) * 4)


def objective(name: str, fields: torch.Tensor, asked: Batch, **options: str) -> torch.Tensor:
    prediction = Prediction(fields, (), torch.zeros(len(asked), 0))
    return OBJECTIVES[name](prediction, asked, LossConfig(objective=name, **options))


def test_valid_mask_scores_real_channels_and_fluid_cells_only():
    fields = half_masked_batch().asked.clone()
    fields[..., 1] += 100.0  # a solid cell
    fields[:, :, 1] += 100.0  # a padded channel
    assert relative_error(fields, half_masked_batch(), "valid", "field") == 0
    fields[0, 0, 0, 0, 0] = 4.5
    torch.testing.assert_close(
        relative_error(fields, half_masked_batch(), "valid", "field"), torch.tensor([0.5])
    )


def test_reference_mask_scores_everything():
    fields = half_masked_batch().asked.clone()
    fields[0, 0, 0] = torch.tensor([0.0, 0.0])
    # one channel wrong by all of it, the padded one right
    torch.testing.assert_close(
        relative_error(fields, half_masked_batch(), "reference", "field"), torch.tensor([0.5])
    )


def test_error_relative_to_the_change_is_one_for_a_repeated_frame():
    moving = replace(
        half_masked_batch(), given=half_masked_batch().asked + torch.tensor([0.25, 0.0])
    )
    last = moving.given[:, -1:]
    # the floor of a thousandth of the field's size is below 1e-4 of this change
    error = relative_error(last, moving, "valid", "change")
    torch.testing.assert_close(error, torch.tensor([1.0]), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        relative_error(last, moving, "valid", "field"), torch.tensor([0.25 / 3])
    )


def test_where_nothing_changes_the_field_itself_sets_the_scale():
    off = half_masked_batch().asked + 1e-3
    error = relative_error(off, half_masked_batch(), "valid", "change")
    size = (3.0**2 + 4.0**2) ** 0.5 / 2**0.5
    torch.testing.assert_close(error, torch.tensor([1 / size]), rtol=1e-3, atol=0)


def test_change_is_refused_where_other_channels_are_asked_than_given():
    other = replace(half_masked_batch(), given=half_masked_batch().given[:, :, :1])
    with pytest.raises(UserError, match=r"not the channels that are given.* relative_to=field"):
        relative_error(other.asked, other, "valid", "change")


def test_gradient_is_finite_where_prediction_and_truth_agree():
    fields = half_masked_batch().asked.clone().requires_grad_()
    relative_error(fields, half_masked_batch(), "valid", "field").sum().backward()
    assert torch.isfinite(fields.grad).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_sum_of_squares_of_a_constant_error_counts_frames_channels_and_cells(grid, generator):
    asked = batch_on(grid, generator)
    cells = asked.valid_mask.flatten(1).sum(dim=1)
    counted = FRAMES * asked.asked_mask.sum(dim=1) * cells
    found = objective("sum_of_squares", asked.asked + 0.5, asked)
    # 0.5 ** 2 up to the rounding of (asked + 0.5) - asked
    torch.testing.assert_close(found, 0.25 * counted, rtol=1e-5, atol=0)
    whole = objective("sum_of_squares", asked.asked + 0.5, asked, mask="reference")
    size = float(asked.asked[0].numel())
    torch.testing.assert_close(whole, torch.full((4,), 0.25 * size), rtol=1e-5, atol=0)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("name", "factor"), [("sum_of_squares", 4.0), ("relative_l2", 2.0)])
def test_doubling_the_error_quadruples_the_squares_and_doubles_the_norm(
    name, factor, grid, generator
):
    asked = batch_on(grid, generator)
    error = torch.randn(asked.asked.shape, generator=generator)
    once, twice = (objective(name, asked.asked + n * error, asked) for n in (1, 2))
    assert (once > 0).all()
    torch.testing.assert_close(twice, factor * once, rtol=1e-5, atol=0)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", OF_FIELDS)
def test_masked_cells_and_channels_change_nothing_and_get_no_gradient(name, grid, generator):
    asked = batch_on(grid, generator)
    error = torch.randn(asked.asked.shape, generator=generator)
    outside = (points_of(asked) == 0).expand_as(error)
    assert outside.any()
    fields = (asked.asked + error).requires_grad_()
    elsewhere = torch.where(outside, fields.detach() + 100.0, fields.detach())
    found = objective(name, fields, asked)
    assert torch.equal(found, objective(name, elsewhere, asked))
    assert not torch.equal(found, objective(name, elsewhere, asked, mask="reference"))
    found.sum().backward()
    assert (fields.grad[outside] == 0).all()
    assert (fields.grad[~outside] != 0).all()


@pytest.mark.parametrize("grid", GRIDS[1:])
@pytest.mark.parametrize(
    ("name", "to"), [*((name, "field") for name in BY_CELLS), ("relative_l2", "change")]
)
def test_how_cells_are_arranged_changes_nothing(name, to, grid, generator):
    """A grid of any dimension is worth what its cells in one row are."""
    asked = batch_on(grid, generator)
    row = replace(
        asked,
        given=asked.given.flatten(3),
        asked=asked.asked.flatten(3),
        valid_mask=asked.valid_mask.flatten(2),
    )
    fields = asked.asked + torch.randn(asked.asked.shape, generator=generator)
    # the same numbers, summed in another order
    torch.testing.assert_close(
        objective(name, fields, asked, relative_to=to),
        objective(name, fields.flatten(3), row, relative_to=to),
    )


def test_a_ramp_starts_and_ends_where_it_says_and_is_straight_between():
    ramp = Ramp(start=1.0, end=3.0, first=10, last=20)
    assert [ramp.at(step) for step in (0, 10, 15, 20, 99)] == [1.0, 1.0, 2.0, 3.0, 3.0]
    down = Ramp(start=2.0, end=0.0, first=0, last=4)
    assert [down.at(step) for step in range(6)] == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]


def test_a_ramp_of_no_length_is_a_step_and_by_default_a_constant():
    assert [Ramp(end=0.5).at(step) for step in (0, 1, 1000)] == [0.5] * 3
    assert [Ramp(start=0.25, end=0.5, first=3, last=3).at(step) for step in (2, 3)] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "sum_of_square"}, "did you mean 'sum_of_squares'"),
        (
            {"objective": "sum_of_squares", "relative_to": "change"},
            "divides by nothing; set relative_to=field",
        ),
        ({"terms": {"residual": {"end": 1, "first": 5, "last": 4}}}, "raise last or lower first"),
        ({"terms": {"residual": {"end": -1}}}, "terms.residual.end: .*greater than or equal to 0"),
        (
            {"terms": {"residual": {"end": 1, "lst": 2}}},
            r"did you mean 'last'.*\(at terms.residual.lst\)",
        ),
    ],
)
def test_what_cannot_be_minimised_is_refused_in_one_line(values, message):
    with pytest.raises(UserError, match=message) as raised:
        LossConfig.read(values, "loss")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("grid", [(6, 5), (4, 6, 5)])
def test_structure_is_zero_for_the_truth_and_sees_slopes_and_spectrum(grid, generator):
    asked = batch_on(grid, generator)
    assert objective("structure", asked.asked.clone(), asked).abs().max() == 0
    none = objective("structure", torch.zeros_like(asked.asked), asked)
    torch.testing.assert_close(none, torch.full((4,), 1.0 + 0.2 + 0.1))
    alone = objective("structure", torch.zeros_like(asked.asked), asked, slopes=0, spectrum=0)
    torch.testing.assert_close(alone, torch.ones(4))


def test_a_field_of_other_phases_has_the_right_spectrum(generator):
    fields = torch.randn(2, 1, 1, 8, 8, generator=generator)
    ids, ones = torch.zeros(2).long(), torch.ones(2, 1)
    asked = Batch(fields, fields, ones, torch.ones(2, 1, 8, 8), ids, ("",) * 2)
    moved = fields.roll(3, -1)
    both = objective("structure", moved, asked, slopes=0, spectrum=1.0)
    field_alone = objective("structure", moved, asked, slopes=0, spectrum=0)
    torch.testing.assert_close(both, field_alone, rtol=1e-5, atol=1e-5)


def test_terms_alone_minimise_no_field_and_need_a_term(generator):
    asked = batch_on((3, 5), generator)
    fields = torch.zeros_like(asked.asked)
    config = LossConfig(objective="terms", terms={"latent": {"end": 1.0}})
    found = OBJECTIVES["terms"](Prediction(fields, (), torch.zeros(4, 0)), asked, config)
    assert found.tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="nothing would be learnt"):
        LossConfig(objective="terms")


def test_a_residual_is_the_sum_of_what_the_network_finds_of_its_equation(generator):
    asked = batch_on((7,), generator)
    terms = {name: torch.rand(4, generator=generator) for name in ("residual", "initial", "other")}
    prediction = Prediction(asked.asked, (), torch.zeros(4, 0), terms)
    found = OBJECTIVES["residual"](prediction, asked, LossConfig(objective="residual"))
    assert torch.equal(found, terms["residual"] + terms["initial"])
    with pytest.raises(UserError, match=r"knows no equation; set model\.constraint"):
        objective("residual", asked.asked, asked)


def test_structure_of_a_sample_of_which_nothing_is_asked_is_zero(generator):
    asked = batch_on((3, 5), generator)
    hidden = replace(asked, asked_mask=asked.asked_mask * torch.tensor([[1.0], [0], [1], [1]]))
    found = objective("structure", torch.zeros_like(asked.asked), hidden)
    assert (found > 0).tolist() == [True, False, True, True]


@pytest.mark.parametrize("mask", ["valid", "reference"])
@pytest.mark.parametrize("name", ["relative_l2", "structure"])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_channel_whose_truth_is_zero_adds_nothing_and_does_not_count(name, mask, grid, generator):
    whole = batch_on(grid, generator)
    whole = replace(whole, asked_mask=torch.ones_like(whole.asked_mask))
    fields = (whole.asked + 0.1).requires_grad_()
    alone = replace(whole, asked=whole.asked[:, :, :2], asked_mask=whole.asked_mask[:, :2])
    expected = objective(name, fields[:, :, :2], alone, mask=mask)
    zero = whole.asked.clone()
    zero[:, :, 2] = 0.0
    came = objective(name, fields, replace(whole, asked=zero), mask=mask)
    torch.testing.assert_close(came, expected, rtol=1e-6, atol=0)
    came.sum().backward()
    assert torch.isfinite(fields.grad).all()
    assert not fields.grad[:, :, 2].any()
