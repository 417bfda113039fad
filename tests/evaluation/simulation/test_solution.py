"""What is said of an answer to a steady problem is true, though the truth is not known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from steady import MIXED, SIDE, SLOTS, steady_config

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate import elliptic
from data_shards.simulation_file.problem import Problem, read_problem
from evaluation.simulation.solution import Trust, operator_of, solve
from foundation import Surrogate
from foundation.models.registry import build_model

EQUATIONS = ("elliptic_poisson", "elliptic_advection_diffusion", "elliptic_helmholtz")


@pytest.fixture(scope="module")
def model() -> Surrogate:
    """A network with fresh weights: its answers are far off, by amounts of its own."""
    config = steady_config("fno", MIXED)
    return Surrogate(build_model(config, seed=1), config, {"corpora": [EQUATIONS[0]]}).eval()


def problem_of(name: str, folder: Path, points: int = SIDE) -> tuple[Problem, np.ndarray]:
    """A file of a generated problem, read, and its solution (H, W)."""
    solution = elliptic.generate(
        load_card(name), np.random.default_rng(7), index=0, resolution=points
    )
    source, u = solution.fields[0]
    given = {k: v for k, v in solution.parameters.items() if k in (*MIXED, "diffusion")}
    if "diffusion" in given:
        given["k11"] = given["k22"] = given.pop("diffusion")
    np.savez(folder / "problem.npz", source=source, **given)
    return read_problem(folder / "problem.npz", MIXED), u


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_error_in_the_report_is_that_against_the_solvers_own_solution(name, model, tmp_path):
    problem, truth = problem_of(name, tmp_path)
    answer = solve(model, problem)
    u = answer.solution.fields[0, 0].astype(np.float64)
    if name != "elliptic_helmholtz":  # its operator alone determines the mean
        u -= u.mean()
    wanted = np.linalg.norm(u - truth) / np.linalg.norm(truth)
    assert answer.trust.error == pytest.approx(wanted, rel=1e-5)  # fields are float32
    assert f"{wanted:.1%}" in answer.trust.text or "worse than no answer" in answer.trust.text


def test_an_answer_lies_on_the_grid_of_its_file_and_is_called_as_in_training(model, tmp_path):
    problem, _ = problem_of("elliptic_poisson", tmp_path, points=2 * SIDE)
    answer = solve(model, problem)
    assert answer.solution.fields.shape == (1, 1, 2 * SIDE, 2 * SIDE)
    assert answer.solution.channels == ("u",)
    assert answer.residual.shape == (2 * SIDE, 2 * SIDE)


@pytest.mark.parametrize(
    ("parameters", "note"),
    [
        ({"k11": -1.0, "k22": 1.0}, "not positive"),
        ({"k11": 1.0, "k22": 1.0, "k12": 1.0}, "not positive"),
        ({}, "not positive"),
    ],
)
def test_an_equation_without_an_answer_has_no_residual_and_says_why(parameters, note, tmp_path):
    np.savez(tmp_path / "plate.npz", source=np.ones((SIDE, SIDE), np.float32))
    problem = read_problem(tmp_path / "plate.npz", MIXED, parameters=parameters)
    operator, said = operator_of(problem)
    assert operator is None
    assert note in said
    assert note in Trust(note=said).text


def test_solve_takes_names_in_any_order_and_a_number_or_one_per_sample(model):
    source = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    plain = model.solve(source, {"k11": 0.02, "k22": 0.03})
    assert plain.shape == (3, 1, SIDE, SIDE)
    turned = model.solve({"source": source}, {"k22": torch.full((3,), 0.03), "k11": 0.02})
    assert torch.equal(plain, turned)
    as_fields = {"k11": torch.full_like(source, 0.02), "source": source}
    assert torch.equal(plain, model.solve(as_fields, {"k22": 0.03}))
    each = model.solve(source, {"k11": torch.tensor([0.02, 0.5, 0.02]), "k22": 0.03})
    assert torch.equal(each[0], plain[0])
    assert not torch.allclose(each[1], plain[1])


def test_coefficients_that_are_not_given_are_zero_and_change_nothing(model):
    source = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    said = {"k11": 0.02, "k22": 0.03}
    zeros = dict.fromkeys(("k12", "v1", "v2", "omega"), 0.0)
    assert torch.equal(model.solve(source, said), model.solve(source, {**said, **zeros}))


@pytest.mark.parametrize(
    ("given", "parameters", "message"),
    [
        ({"source": (2, SIDE, SIDE)}, {"k13": 1.0}, "no slot for k13"),
        ({"source": (2, SIDE, 8)}, {}, r"source is \(2, 16, 8\)"),
        ({"source": (2, SIDE, SIDE), "v1": (3, SIDE, SIDE)}, {}, "one B for all"),
        ({"source": (2, SIDE, SIDE)}, {"k11": torch.ones(3)}, "3 values for 2 samples"),
        ({}, {}, "no source is given"),
    ],
)
def test_what_does_not_fit_is_refused(model, given, parameters, message):
    fields = {name: torch.zeros(shape) for name, shape in given.items()}
    with pytest.raises(UserError, match=message):
        model.solve(fields, parameters)


def test_a_model_that_continues_frames_solves_nothing_and_one_that_solves_continues_nothing(model):
    config = steady_config("fno", SLOTS)
    by_place = config.model_copy(update={"slots": (), "asked_channels": None})
    other = Surrogate(build_model(by_place, seed=0), by_place, {})
    with pytest.raises(UserError, match=r"forecast\(context, steps\)"):
        other.solve(torch.zeros(1, SIDE, SIDE))
    with pytest.raises(UserError):
        model.forecast(torch.zeros(1, 1, len(MIXED), SIDE, SIDE), 2)


def test_a_source_with_a_mean_that_no_solution_has_is_named_and_its_mean_left_out(model, tmp_path):
    problem, _ = problem_of("elliptic_poisson", tmp_path)
    plain = solve(model, problem).trust
    with np.load(tmp_path / "problem.npz") as stored:
        arrays = dict(stored)
    arrays["source"] = arrays["source"] + 1
    np.savez(tmp_path / "lifted.npz", **arrays)
    lifted = solve(model, read_problem(tmp_path / "lifted.npz", MIXED)).trust
    assert plain.note == ""
    assert "has a\nsolution only without" in lifted.note.replace(" has a ", " has a\n")
    assert lifted.note in lifted.text
    assert lifted.amplification == pytest.approx(plain.amplification, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e5])
def test_scaling_source_and_coefficients_alike_changes_no_answer(scale):
    scales = {"source": 0.01, "k11": 0.02, "k22": 0.02, "k12": 0.005}
    config = steady_config("fno", SLOTS, scales=scales)
    model = Surrogate(build_model(config, seed=1), config, {}).eval()
    source = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    plain = model.solve(source, {"k11": 0.02, "k22": 0.03})
    scaled = model.solve(scale * source, {"k11": 0.02 * scale, "k22": 0.03 * scale})
    # float32, through four layers
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(model.solve(0 * source, {"k11": 0.02, "k22": 0.03})).all()


def test_forecast_of_a_model_that_knows_names_is_refused_with_the_right_call(model):
    with pytest.raises(UserError, match=r"call solve\(fields, parameters\)"):
        model.forecast(torch.zeros(1, 1, len(MIXED), SIDE, SIDE), 1)
