"""Laws of the staggered solver: cavity, tube and cylinder."""

from itertools import pairwise
from math import exp, pi

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate.incompressible import cylinder_flow, generate
from data_shards.generate.projection import Projection
from data_shards.generate.solution import Array
from data_shards.generate.staggered import StaggeredFlow

BOX = (-2.0, 5.0, -2.5, 2.5)


def body(cells: int) -> Array:
    centre = np.arange(cells) - cells / 2 + 0.5
    return np.hypot(centre[:, None], centre[None, :]) < cells / 5


@pytest.mark.parametrize("outflow", [False, True])
@pytest.mark.parametrize("solid", [None, body(20)])
def test_projection_leaves_no_divergence_and_no_flow_through_the_solid(rng, outflow, solid):
    project = Projection((20, 20), 0.1, 0.05, outflow=outflow, solid=solid)
    u, v = rng.standard_normal((20, 21)), rng.standard_normal((21, 20))
    u[:, 0], v[0], v[-1] = 1.0, 0.0, 0.0
    if not outflow:
        u[:, -1] = 1.0  # what comes in goes out
    project(u, v)
    scale = 1 / 0.05  # velocities of order one over the smaller cell
    np.testing.assert_allclose(project.divergence(u, v), 0, atol=1e-12 * scale)
    np.testing.assert_array_equal(u[:, 0], 1.0)
    if solid is not None:
        for near in (u[:, :-1], u[:, 1:], v[:-1], v[1:]):
            assert np.abs(near[solid]).max() == 0


@pytest.mark.parametrize("solid", [None, body(16)])
def test_projection_twice_is_projection_once(rng, solid):
    project = Projection((16, 16), 0.1, 0.1, outflow=True, solid=solid)
    u, v = rng.standard_normal((16, 17)), rng.standard_normal((17, 16))
    v[0], v[-1] = 0.0, 0.0
    project(u, v)
    once = u.copy(), v.copy()
    project(u, v)
    np.testing.assert_allclose(u, once[0], atol=1e-12)
    np.testing.assert_allclose(v, once[1], atol=1e-12)


def test_projection_is_orthogonal_so_the_result_is_the_nearest_admissible_flow(rng):
    project = Projection((12, 12), 0.1, 0.1, solid=body(12))
    flows = []
    for _ in range(2):
        u, v = rng.standard_normal((12, 13)), rng.standard_normal((13, 12))
        u[:, 0], u[:, -1], v[0], v[-1] = 0.0, 0.0, 0.0, 0.0
        before = np.concatenate([u.ravel(), v.ravel()])
        project(u, v)
        flows.append((before, np.concatenate([u.ravel(), v.ravel()])))
    (_, admissible), (before, after) = flows
    assert abs(admissible @ (before - after)) < 1e-10


def test_a_solid_at_a_side_is_refused():
    solid = np.zeros((8, 8), bool)
    solid[0, 4] = True
    with pytest.raises(ValueError, match="side"):
        Projection((8, 8), 1.0, 1.0, solid=solid)


def test_starting_cavity_converges_at_second_order():
    centres = []
    for cells in (16, 32, 64):
        flow = StaggeredFlow((cells, cells), (1.0, 1.0), 1 / 50, lid=1.0)
        flow.advance(0.8)
        u = 0.5 * (flow.u[cells // 2 - 1] + flow.u[cells // 2])  # at y = 1/2
        centres.append(u[:: cells // 16][2:-2])
    gaps = [np.abs(a - b).mean() for a, b in pairwise(centres)]
    assert gaps[0] / gaps[1] > 2.8  # 4 in the smooth interior, less by the corners' singularity


def test_shear_between_walls_decays_at_the_viscous_rate_in_a_closed_box():
    # Away from the ends of a long box u(y, t) = sin(2 pi y) exp(-nu (2 pi)^2 t).
    cells, viscosity, time = 32, 0.1, 0.1
    flow = StaggeredFlow((cells, cells), (40.0, 1.0), viscosity)
    y = (np.arange(cells) + 0.5) / cells
    flow.u[:, 1:-1] = (np.sin(2 * pi * y))[:, None]
    flow.project(flow.u, flow.v)
    flow.advance(time)
    exact = np.sin(2 * pi * y) * exp(-viscosity * (2 * pi) ** 2 * time)
    np.testing.assert_allclose(flow.u[:, cells // 2], exact, atol=3e-3)  # (pi / 32)^2 / 3 of 0.67


def test_tube_approaches_poiseuille():
    cells = 32
    flow = StaggeredFlow((cells, cells), (6.0, 1.0), 1 / 20, inflow=1.0)
    flow.advance(8.0)
    y = (np.arange(cells) + 0.5) / cells
    poiseuille = 6 * y * (1 - y)
    np.testing.assert_allclose(flow.u[:, -4], poiseuille, atol=8e-3)  # (1/32)^2 and the open end
    np.testing.assert_allclose(flow.u.sum(axis=0), cells, rtol=1e-12)  # the same flow everywhere


def test_rising_inflow_fills_the_tube_at_once():
    flow = StaggeredFlow((16, 16), (2.0, 1.0), 1 / 100, inflow=2.0, rise_time=0.5)
    assert np.abs(flow.u).max() == 0
    flow.advance(0.5)
    expected = 2 * (1 - exp(-1))
    np.testing.assert_allclose(flow.u.mean(axis=0), expected, rtol=1e-12)


def test_flow_around_the_cylinder_has_no_divergence_and_stays_out_of_it():
    flow, solid = cylinder_flow(48, BOX, 100.0)
    flow.advance(2.0)
    assert np.abs(flow.divergence()).max() < 1e-11
    assert np.abs(flow.at_centres()[:, solid]).max() == 0
    area = solid.sum() * flow.dx * flow.dy
    assert area == pytest.approx(pi / 4, rel=0.1)
    x = BOX[0] + (np.arange(48) + 0.5) * flow.dx
    assert abs((solid * x[None, :]).sum() / solid.sum()) < flow.dx / 2  # centred on the origin


def test_cylinder_without_a_nudge_keeps_the_mirror_symmetry():
    symmetric = StaggeredFlow((32, 32), (7.0, 5.0), 1 / 100, inflow=1.0, solid=body(32))
    symmetric.advance(1.0)
    np.testing.assert_allclose(symmetric.u, symmetric.u[::-1], atol=1e-10)
    np.testing.assert_allclose(symmetric.v, -symmetric.v[::-1], atol=1e-10)


def strouhal(cells: int, box: tuple[float, float, float, float], reynolds: float) -> float:
    """Shedding frequency in units of speed over diameter, of the cross-flow behind the cylinder."""
    flow, _ = cylinder_flow(cells, box, reynolds)
    for _ in range(40):
        flow.advance(2.0)
    row, column = int(-box[2] / flow.dy), int((1.5 - box[0]) / flow.dx)
    interval, signal = 0.1, []
    for _ in range(300):
        flow.advance(interval)
        signal.append(flow.at_centres()[1, row, column])
    centred = np.array(signal) - np.mean(signal)
    before = np.flatnonzero((centred[:-1] < 0) & (centred[1:] >= 0))
    rising = before - centred[before] / (centred[before + 1] - centred[before])
    assert np.std(signal) > 0.1
    assert np.ptp(np.diff(rising)) < 0.02 * np.diff(rising).mean()  # periodic
    return float(1 / (np.diff(rising).mean() * interval))


@pytest.mark.slow
@pytest.mark.parametrize(("reynolds", "published"), [(100, 0.165), (200, 0.197)])
def test_cylinder_sheds_vortices_at_the_strouhal_number_of_open_water(reynolds, published):
    # Williamson (Annu. Rev. Fluid Mech. 28, 1996). A twentieth of blockage speeds the flow past
    # the cylinder up by about as much, and ten cells make a somewhat thick diameter.
    assert strouhal(224, (-8.0, 14.0, -10.0, 10.0), reynolds) == pytest.approx(published, rel=0.1)


@pytest.mark.slow
def test_blockage_raises_the_strouhal_number_as_in_the_corpus():
    # A sixth of blockage speeds the flow past the cylinder up by up to a third.
    assert 1.1 * 0.165 < strouhal(64, (-2.0, 6.0, -3.0, 3.0), 100) < 4 / 3 * 1.1 * 0.165


@pytest.mark.parametrize("index", [0, 1, 2])
def test_trajectories_are_in_physical_units_and_hard_enough_for_persistence(index):
    card = load_card("cfdbench")
    solution = generate(card, np.random.default_rng(index), index=index, resolution=32)
    p = solution.parameters
    length = {0: "width", 1: "height", 2: "radius"}[index]
    size = float(p[length]) * (2 if index == 2 else 1)
    flow = float(p["density"]) * float(p["velocity"]) * size / float(p["viscosity"])
    assert flow == pytest.approx(p["reynolds"])
    fastest = np.abs(solution.fields).max() / float(p["velocity"])
    assert 0.5 < fastest < 2.5  # lid, inflow, or what a narrowed channel makes of it
    context, future = solution.fields[9], solution.fields[10:]
    assert np.linalg.norm(future - context) > 0.05 * np.linalg.norm(future)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_published_flows_have_the_published_time_step_and_laminar_reynolds_numbers(index):
    card = load_card("cfdbench").at("published")
    options = card.generator_options | {"solver_resolution": 16}  # drawing is what is tested
    card = card.model_copy(update={"generator_options": options, "frames": 11})
    solution = generate(card, np.random.default_rng(index), index=index, resolution=16)
    p = solution.parameters
    assert solution.dt_s == pytest.approx(0.001 if p["problem"] == "cylinder" else 0.1)
    length = p["radius"] * 2 if p["problem"] == "cylinder" else p["width"]
    low, high = options[p["problem"]]["frame_interval"]["between"]
    assert low <= solution.dt_s * p["velocity"] / length <= high
    assert "rise_time" not in p
    assert 60 <= p["reynolds"] <= 4000


def test_ranges_that_exclude_each_other_are_the_users_error():
    card = load_card("cfdbench").at("published")
    cavity = card.generator_options["cavity"] | {"velocity": (0.01, 0.02)}
    options = card.generator_options | {"cavity": cavity}
    slow = card.model_copy(update={"generator_options": options})
    with pytest.raises(UserError, match="widen the ranges"):
        generate(slow, np.random.default_rng(0), index=0, resolution=16)


def test_the_card_picks_the_problems():
    card = load_card("cfdbench")
    cylinder = card.generator_options["cylinder"] | {"spin_up": (1, 2)}
    options = card.generator_options | {"problems": ["cylinder", "tube"], "cylinder": cylinder}
    card = card.model_copy(update={"generator_options": options, "frames": 2})
    dealt = [
        generate(card, np.random.default_rng(n), index=n, resolution=16).parameters["problem"]
        for n in range(3)
    ]
    assert dealt == ["cylinder", "tube", "cylinder"]
