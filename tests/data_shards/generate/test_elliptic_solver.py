"""Laws of the steady problems."""

from math import cos, pi, sin

import numpy as np
import pytest
import scipy.fft

from data_shards.catalogue import load_card, load_ladder
from data_shards.generate.elliptic import (
    EllipticOptions,
    draw_heights,
    draw_operator,
    draw_problem,
    gaussians,
    generate,
    is_kept,
)
from data_shards.generate.solution import Array
from data_shards.generate.spectral_operator import (
    Operator,
    advection_weight,
    on_grid,
    rotated,
    solve,
    weighted,
)

CELLS = 64
X = np.arange(CELLS) / CELLS
OPERATORS = {
    "poisson": Operator((0.02, 0.04, 0.01)),
    "advection_diffusion": Operator((0.02, 0.04, -0.01), (0.6, -0.3)),
    "helmholtz": Operator((0.01, 0.01, 0.0), omega=3.0),
}


def random_source(rng: np.random.Generator, sparsity: float, cells: int = CELLS) -> Array:
    source = gaussians(draw_heights(rng, sparsity), cells)
    return source - source.mean()


def field(spectrum: Array) -> Array:
    return scipy.fft.irfft2(spectrum, s=(CELLS, CELLS))


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_solution_is_the_one_that_the_source_was_made_from(operator):
    m, n = 2, 3
    phase = 2 * pi * (m * X[None, :] + n * X[:, None])
    k11, k22, k12 = operator.tensor
    kx, ky = 2 * pi * m, 2 * pi * n
    even = k11 * kx**2 + k22 * ky**2 + 2 * k12 * kx * ky - operator.omega
    odd = operator.velocity[0] * kx + operator.velocity[1] * ky
    u = np.sin(phase) + 0.5 * np.cos(phase)
    f = even * u + odd * (np.cos(phase) - 0.5 * np.sin(phase))
    np.testing.assert_allclose(field(solve(scipy.fft.rfft2(f), operator)), u, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_finite_differences_of_the_solution_give_the_source(rng, operator):
    source = scipy.fft.rfft2(random_source(rng, 0.4))
    cells, gaps = 512, []
    for fine in (cells // 2, cells):
        padded = np.zeros((fine, fine // 2 + 1), complex)
        half = CELLS // 2
        rows = np.arange(-half + 1, half)
        padded[np.ix_(rows % fine, np.arange(half))] = source[np.ix_(rows % CELLS, np.arange(half))]
        f, u = (
            scipy.fft.irfft2(w * (fine / CELLS) ** 2, s=(fine, fine))
            for w in (padded, solve(padded, operator))
        )
        h = 1 / fine
        right, left, up, down = (np.roll(u, *shift) for shift in ((-1, 1), (1, 1), (-1, 0), (1, 0)))
        cross = np.roll(right, -1, 0) - np.roll(left, -1, 0) - np.roll(right, 1, 0)
        cross = (cross + np.roll(left, 1, 0)) / (4 * h**2)
        k11, k22, k12 = operator.tensor
        v1, v2 = operator.velocity
        spread = k11 * (right - 2 * u + left) + k22 * (up - 2 * u + down)
        moved = v1 * (right - left) + v2 * (up - down)
        residual = -spread / h**2 - 2 * k12 * cross + moved / (2 * h) - operator.omega * u - f
        gaps.append(np.abs(residual - residual.mean()).max())
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.1)  # second-order differences
    assert gaps[1] < 0.01


def test_turning_source_and_tensor_by_a_right_angle_turns_the_solution(rng):
    source = random_source(rng, 0.2)
    k11, k22, k12 = rotated(4.0, 0.3)
    one = field(solve(scipy.fft.rfft2(source), Operator((k11, k22, k12))))
    turned = field(solve(scipy.fft.rfft2(source.T), Operator((k22, k11, k12))))
    np.testing.assert_allclose(turned.T, one, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
def test_rotated_tensor_has_its_eigenvalues(angle):
    k11, k22, k12 = rotated(3.0, angle)
    values, vectors = np.linalg.eigh([[k11, k12], [k12, k22]])
    np.testing.assert_allclose(values, [1, 3])
    assert abs(vectors[:, 0] @ [cos(angle), sin(angle)]) == pytest.approx(1)


def test_source_is_a_lattice_of_gaussians_of_height_one(rng):
    heights = draw_heights(rng, 0.4)
    source = gaussians(heights, 128)
    assert source.max() == 1
    x = np.arange(128) / 128
    profiles = np.exp(-((x - (5 + 2 * np.arange(12)[:, None]) / 32) ** 2) * 32**2 / 2)
    exact = profiles.T @ heights @ profiles
    np.testing.assert_allclose(source, exact / exact.max(), atol=1e-5)  # images: exp(-5^2 / 2)


def test_the_wanted_share_of_gaussians_is_left_out_on_average_but_never_all(rng):
    for sparsity in (0.2, 0.8):
        heights = np.stack([draw_heights(rng, sparsity) for _ in range(50)])
        # 7200 draws: a standard error of 0.005.
        assert (heights == 0).mean() == pytest.approx(sparsity, abs=0.02)
        assert heights[heights > 0].min() >= 1e-3
        assert heights.max() <= 1
    assert draw_heights(rng, 1.0).any()


@pytest.mark.parametrize("ratio", [0.005, 0.2, 1.0, 15.0])
def test_advection_term_is_the_wanted_fraction_of_the_diffusion_term(rng, ratio):
    source = scipy.fft.rfft2(random_source(rng, 0.6))
    still, velocity = Operator((0.01, 0.03, 0.0)), (0.8, 0.6)
    weight = advection_weight(still, velocity, ratio, source)
    assert 0 < weight < 1
    operator = weighted(still, velocity, weight)
    assert np.hypot(*operator.velocity) == pytest.approx(weight)
    waves = solve(source, operator)
    moved, spread = (
        field(symbol * waves) for symbol in (operator.advection(CELLS), operator.diffusion(CELLS))
    )
    assert np.linalg.norm(moved) == pytest.approx(ratio * np.linalg.norm(spread), rel=1e-7)
    # Both together are the source, but for the waves without a mirror, exp(-2 pi^2) of the rest.
    np.testing.assert_allclose(moved + spread, field(source), atol=1e-8)


@pytest.mark.parametrize("equation", ["poisson", "advection_diffusion", "helmholtz"])
def test_coefficients_are_in_their_ranges(rng, equation):
    options = EllipticOptions(equation=equation)
    source = scipy.fft.rfft2(random_source(rng, 0.2, 32))
    seen = set()
    for _ in range(20):
        operator, parameters = draw_operator(rng, options, source)
        if equation == "helmholtz":
            assert operator.omega == parameters["omega"]
            seen.add(operator.omega)
            continue
        tensor = [[parameters["k11"], parameters["k12"]], [parameters["k12"], parameters["k22"]]]
        low, high = np.linalg.eigvalsh(tensor)
        weight = np.hypot(*operator.velocity)  # 0 without advection
        assert low == pytest.approx(0.01 * (1 - weight))
        assert high == pytest.approx(low * parameters["anisotropy"])
        assert 1 <= parameters["anisotropy"] <= 5
        seen.add(parameters["anisotropy"])
    assert len(seen) > 4
    assert equation != "helmholtz" or seen <= set(range(1, 11))


def test_coarse_grid_holds_the_fine_ones_points(rng):
    source = scipy.fft.rfft2(random_source(rng, 0.4, 128))
    # Beyond 32 cycles these Gaussians have less than exp(-2 pi^2).
    np.testing.assert_allclose(on_grid(source, 64), on_grid(source, 128)[::2, ::2], atol=1e-8)


def test_a_grid_of_an_odd_number_of_points_keeps_all_its_waves():
    x = np.arange(9) / 9
    u = np.cos(2 * pi * 4 * x)[None, :] * np.sin(2 * pi * 4 * x)[:, None]
    operator = Operator((0.01, 0.02, 0.0))
    f = (0.01 + 0.02) * (2 * pi * 4) ** 2 * u
    found = scipy.fft.irfft2(solve(scipy.fft.rfft2(f), operator), s=(9, 9))
    np.testing.assert_allclose(found, u, atol=1e-12)


def helmholtz_card(**options):
    card = load_card("elliptic_helmholtz")
    changed = {**card.generator_options, "solver_resolution": 64, **options}
    return card.model_copy(update={"generator_options": changed})


def redrawn_share(omega, draws=100, **options):
    """Of the problems drawn at one omega."""
    card = helmholtz_card(omega=[omega, omega], **options)
    read, rng = EllipticOptions.read(card.generator_options, card.name), np.random.default_rng(0)
    problems = [draw_problem(rng, read, read.solver_resolution) for _ in range(draws)]
    return 1 - sum(is_kept(problem, read) for problem in problems) / draws


def test_problems_next_to_a_resonance_are_drawn_again_as_the_ladder_says_and_hardly_any_others():
    """Resonances next to an integer: 1.974 (|k|^2 = 5) and 3.948 (10)."""
    said = load_ladder("helmholtz_omega").redrawn
    assert list(said) == [2, 4]
    for omega in range(1, 11):
        share = said.get(omega, 0.0)
        error = 3 * (share * (1 - share) / 100) ** 0.5
        assert redrawn_share(omega) == pytest.approx(share, abs=error + 0.02)
    assert redrawn_share(2, draws=20, largest=50.0) == 0


def test_a_corpus_holds_omegas_in_proportion_to_what_is_kept_of_them():
    card = helmholtz_card(omega=[3, 4])
    share = 1 - redrawn_share(4)
    drawn = [
        generate(card, np.random.default_rng(seed), index=0, resolution=8).parameters["omega"]
        for seed in range(200)
    ]
    # 200 draws: 3 standard errors are 0.1, and so much again for the share.
    assert drawn.count(4) / 200 == pytest.approx(share / (1 + share), abs=0.13)
    assert drawn.count(4) < 0.42 * 200


def test_no_problem_drawn_again_is_kept_and_none_in_a_thousand_is_said(rng):
    card = helmholtz_card(solver_resolution=16)
    kept = [generate(card, rng, index=0, resolution=16).fields for _ in range(50)]
    assert max(np.abs(fields[:, 1]).max() for fields in kept) <= 2
    hopeless = helmholtz_card(omega=[2, 2], largest=1e-3, solver_resolution=8)
    with pytest.raises(ArithmeticError, match=r"had \|u\| > 0.001: .* next to a resonance"):
        generate(hopeless, rng, index=0, resolution=8)


@pytest.mark.parametrize("equation", ["poisson", "advection_diffusion", "helmholtz"])
def test_a_problem_is_the_same_at_every_resolution(equation):
    card = load_card(f"elliptic_{equation}")
    fine, coarse = (
        generate(card, np.random.default_rng(3), index=0, resolution=cells) for cells in (128, 32)
    )
    assert fine.parameters == coarse.parameters
    waves = scipy.fft.rfft2(fine.fields[0]) / 16
    rows = np.arange(-15, 16)
    found = scipy.fft.rfft2(coarse.fields[0])
    np.testing.assert_allclose(found[:, rows][:, :, :16], waves[:, rows][:, :, :16], atol=1e-10)
    assert np.abs(found[:, 16]).max() < 1e-10  # the unpaired waves
    assert np.abs(found[:, :, 16]).max() < 1e-10
