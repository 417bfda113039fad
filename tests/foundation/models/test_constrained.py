"""A network under an equation: any architecture, three arms, what it asks and what it tells."""

from dataclasses import replace

import pytest
import torch
from constrained import ORIGINS, SIDE, SIZES, constrained_config, constrained_network, first_frames
from torch.utils.flop_counter import FlopCounterMode

from data_shards.errors import UserError
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.models.registry import build_model, read_model_config, work_of
from foundation.models.rollout import rollout
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

ARMS = ["soft", "one", "mixture"]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("equation", ORIGINS)
def test_any_architecture_gives_basis_fields_of_any_equation(name, equation):
    network = constrained_network(name, equation)
    batch = first_frames(equation)
    prediction = network(batch)
    assert prediction.fields.shape == batch.asked.shape
    assert prediction.fields.dtype == torch.float32
    loss = losses_of(prediction, batch, LossConfig(objective="residual"), lambda x: x).total
    loss.backward()
    for path, parameter in network.named_parameters():
        # Experts that no sample chose learn nothing, one moment has no phase, and nothing asks
        # for the corpus.
        if all(part not in path for part in ("routed", "router", "temporal.gamma", "classify")):
            assert parameter.grad.abs().max() > 0, path


@pytest.mark.parametrize("equation", ORIGINS)
def test_arms_differ_in_weights_alone(equation):
    """The same parameters, of the same first values; a hard constraint leaves less residual."""
    batch = first_frames(equation)
    networks = {arm: constrained_network("fno", equation, arm).eval() for arm in ARMS}
    states = [dict(network.named_parameters()) for network in networks.values()]
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[path], states[0][path]) for path in state)
    found = {arm: network(batch) for arm, network in networks.items()}
    loss = {
        arm: sum(value for name, value in p.terms.items() if name not in ("unsolved", "iterations"))
        for arm, p in found.items()
    }
    assert (loss["one"] < loss["soft"]).all()
    assert (found["mixture"].fields - found["one"].fields).abs().max() > 1e-6
    assert set(found["soft"].terms) == set(found["one"].terms) - {"unsolved", "iterations"}


def test_an_exact_initial_frame_is_left_as_it_is_given():
    """One step from the first frame the basis fields have hardly begun to grow."""
    batch = first_frames("burgers")
    network = constrained_network("fno", "burgers", "soft").double()
    layer = network.constraint
    basis = torch.randn(3, 5, SIDE, SIDE, dtype=torch.float64)
    known = layer._with_known(basis, batch.given[:, 0, 0, 0].double())
    assert torch.equal(known[:, 0, 0], batch.given[:, 0, 0, 0].double())
    assert (known[:, 1:, 0] == 0).all()
    assert torch.equal(known[:, 1:, -1], basis[:, :, -1])


@pytest.mark.parametrize("equation", ORIGINS)
def test_a_sample_is_solved_alike_in_any_batch(equation):
    network = constrained_network("fno", equation).double().eval()
    batch = first_frames(equation)
    batch = replace(batch, given=batch.given.double())
    alone = replace(
        batch,
        given=batch.given[1:2],
        asked=batch.asked[1:2],
        keys=("",),
        origins=batch.origins[1:2],
    )
    # round-off of the network and of a solve that ends at 1e-8
    torch.testing.assert_close(
        network(alone).fields[0], network(batch).fields[1], rtol=0, atol=1e-7
    )


def test_points_are_drawn_anew_in_every_step_and_are_the_same_at_test():
    network = constrained_network("fno", "burgers", points=80)
    batch, fields = first_frames("burgers"), []
    for step in (0, 1, 0):
        network.at_step(step)
        fields.append(network(batch).fields)
    assert torch.equal(fields[0], fields[2])
    assert (fields[0] - fields[1]).abs().max() > 1e-6
    network.eval()
    first = network(batch).fields
    network.at_step(5)
    assert torch.equal(first, network(batch).fields)


def test_frames_beyond_those_that_are_learnt_move_nothing_in_training_and_are_solved_at_test():
    network = constrained_network("fno", "burgers", "one", learnt_frames=8)
    layer, batch = network.constraint, first_frames("burgers")
    basis = torch.randn(3, 5, SIDE, SIDE, dtype=torch.float64)
    other = basis.clone()
    other[:, :, 11:] += 1  # a central difference reaches one frame on, the last one's two back
    first = batch.given[:, 0, 0, 0]
    one, two = (layer(fields, first, batch.origins) for fields in (basis, other))
    torch.testing.assert_close(one.fields[:, :8], two.fields[:, :8], rtol=0, atol=0)
    assert torch.equal(one.terms["residual"], two.terms["residual"])
    layer.eval()
    one, two = (layer(fields, first, batch.origins) for fields in (basis, other))
    assert (one.fields[:, :8] - two.fields[:, :8]).abs().max() > 1e-6


def test_a_box_that_does_not_converge_is_told_and_the_step_is_defined():
    solver = {"tolerance": 1e-12, "iterations": 1}
    network = constrained_network("fno", "diffusion_sorption", "one", solver=solver)
    prediction = network(first_frames("diffusion_sorption"))
    assert prediction.terms["unsolved"].tolist() == [1, 1, 1]
    prediction.terms["residual"].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("rows", ["whole", "own"])
def test_rows_of_the_whole_domain_tie_boxes_that_hold_no_end(rows):
    """The inner boxes of four feel another level at the left end only by rows of the whole."""
    network = constrained_network("fno", "diffusion_sorption", rows=rows).double().eval()
    layer, batch = network.constraint, first_frames("diffusion_sorption")
    basis = torch.randn(
        3, 5, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    first = batch.given[:, 0, 0, 0].double()
    other = first.clone()
    other[:, [0, 2]] = first[:, [2, 0]]  # in the first box, and as large as before
    one, two = (layer(basis, frame, batch.origins).fields for frame in (first, other))
    moved = (one - two).abs().amax((0, 1))
    assert (moved[: SIDE // 4] > 1e-6).all()
    assert (moved[SIDE // 4 :] > 1e-7).all() == (rows == "whole")


def test_scattered_points_are_a_mixture_without_places():
    batch = first_frames("burgers")
    network = constrained_network("fno", "burgers", scattered=True).eval()
    placed = constrained_network("fno", "burgers").eval()
    assert (network(batch).fields - placed(batch).fields).abs().max() > 1e-6


def test_a_loss_of_the_fields_put_together_sees_the_jumps_at_faces():
    batch = first_frames("burgers")
    seen = [
        constrained_network("fno", "burgers", judged=judged).eval()(batch).terms["residual"]
        for judged in ("boxes", "whole")
    ]
    assert (seen[1] > seen[0]).all()
    alike = [
        constrained_network("fno", "burgers", "one", judged=judged).eval()(batch).terms["residual"]
        for judged in ("boxes", "whole")
    ]
    torch.testing.assert_close(*alike, rtol=1e-9, atol=0)


def test_a_checkpoint_gives_it_back_and_a_forecast_goes_on_from_its_last_frame(tmp_path):
    network = constrained_network("fno", "burgers").eval()
    network.at_step(7)
    save_folder(tmp_path / "model", network.config, network.state_dict(), {"steps": 7})
    model = Surrogate.from_pretrained(tmp_path / "model")
    batch = first_frames("burgers")
    expected = rollout(network, batch, 20)
    assert torch.equal(model.forecast(batch.given, 20, origins=batch.origins), expected)
    again = network(replace(batch, given=expected[:, SIDE - 2 : SIDE - 1])).fields
    torch.testing.assert_close(again[:, :5], expected[:, SIDE - 1 :])
    with pytest.raises(UserError, match="reads time step, extent and parameters of every sample"):
        model.forecast(batch.given, 3)


def test_a_parameter_that_an_equation_needs_is_asked_for_by_name():
    batch = first_frames("burgers")
    bare = replace(batch.origins[0], parameters={"advection": 1.0})
    with pytest.raises(UserError, match=r"constraint burgers: .* lack viscosity"):
        constrained_network()(replace(batch, origins=(bare,) * 3))


def test_what_basis_fields_cost_is_counted_on_frames_and_cells():
    one, many = (work_of(constrained_config("fno", basis=basis)) for basis in (5, 6))
    assert many.products - one.products == 2 * SIDE * SIDE * SIZES["fno"]["projection"]


def test_frames_of_a_plane_can_be_an_axis_of_the_network():
    """A volume in, its basis fields out; the network's products are those that torch counts."""
    values = constrained_config("fno", "vorticity", "soft").model_dump(mode="json")
    config = read_model_config(values | {"over_time": True, "modes": 2}, "test")
    network, batch = build_model(config, 0), first_frames("vorticity", 1)
    counted = []
    for samples in (1, 2):  # what all samples share is no sample's work
        with FlopCounterMode(display=False) as counter:
            inputs = torch.randn(samples, 1, 1, *config.mapped_grid)
            answer = network.answer(inputs, None, None)
        counted.append(counter.get_total_flops())
    assert answer.fields.shape == (2, 5, 5, SIDE, SIDE)
    assert counted[1] - counted[0] == work_of(config).products
    fields = network(batch).fields
    assert fields.shape == batch.asked.shape
    shifted = replace(batch, given=batch.given.roll((3, 5), (-2, -1)))
    without_places = read_model_config(config.model_dump() | {"places": False}, "test")
    network = build_model(without_places, 0)
    expected = network(batch).fields.roll((3, 5), (-2, -1))
    torch.testing.assert_close(network(shifted).fields, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"equation": "burger"}, "unknown equation 'burger'; did you mean 'burgers'"),
        ({"boxes": [4]}, "burgers wants 2 numbers, of boxes along time and space"),
        ({"enforced": "one", "boxes": [1, 2]}, "boxes are a mixture's"),
        ({"scattered": True, "overlap": 1}, "scattered points have no faces"),
        ({"scattered": True, "faces": "anchored"}, "scattered points have no faces"),
        ({"enforced": "one", "boxes": [], "faces": "anchored"}, "faces are a mixture's"),
        ({"boxes": [1, 1], "faces": "anchored"}, "one box meets no other"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_one_line(options, message):
    values = constrained_config().model_dump(mode="json")
    values["constraint"] |= options
    with pytest.raises(UserError, match=message) as refusal:
        read_model_config(values, "test")
    assert "{" not in str(refusal.value), "the section that it is about is not repeated"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_frames": 1}, "two frames or more"),
        ({"channels": 2}, "asks one channel"),
        ({"instance_norm": True}, "basis fields are in physical units"),
        ({"over_time": True, "constraint": None}, "over_time is for basis fields"),
        ({"over_time": True}, "over_time: frames of a line are an axis anyway"),
    ],
)
def test_models_that_a_constraint_does_not_fit_are_told_in_one_line(options, message):
    values = constrained_config().model_dump(mode="json") | options
    with pytest.raises(UserError, match=message):
        read_model_config(values, "test")


def test_networks_of_squares_say_how_many_frames_make_one():
    values = constrained_config("moe_pot").model_dump(mode="json") | {"out_frames": 9}
    with pytest.raises(UserError, match="takes a square of frames and 16 cells; set out_frames=15"):
        read_model_config(values, "test")


@pytest.mark.parametrize(
    "changes",
    [{"dt_s": 0.0}, {"dt_s": float("nan")}, {"dt_s": -1.0}, {"parameters": {"viscosity": "nan"}}],
)
def test_no_equation_is_solved_without_its_numbers(changes):
    batch = first_frames("burgers")
    origin = batch.origins[0]
    if "parameters" in changes:
        own = {name: float("nan") for name in origin.parameters}
        changes = {"parameters": own}
    spoilt = replace(batch, origins=(replace(origin, **changes), *batch.origins[1:]))
    with pytest.raises(UserError, match="wanted positive steps and sides"):
        constrained_network("fno", "burgers")(spoilt)
