"""Laws of scaling: what a model sees of a file in other units, and what comes back, is the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from own_files import waves, write_arrays, write_waves
from runs import write_checkpoint

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, Simulation, read_simulation
from evaluation.simulation.on_model_grid import forecast
from evaluation.simulation.report import judge
from evaluation.simulation.scaling import Scaling, found_scaling, moments_of, said_scaling
from evaluation.simulation.training_hints import value_hints
from foundation import Surrogate
from launchers.cli import main

SIDE = 16
TOLD = {
    "near": [{"name": "u", "mean": 0.0, "std": 1.0}, {"name": "v", "mean": 2.0, "std": 0.5}],
    "wide": [{"name": "w", "mean": -3.0, "std": 4.0}],
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaled") / "model"
    model = Surrogate.from_pretrained(write_checkpoint(folder))
    model.about["statistics"] = TOLD
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Surrogate:
    return Surrogate.from_pretrained(checkpoint)


def _read(folder: Path, fields: np.ndarray, **options: object) -> Simulation:
    path = write_waves(folder / "flow.npz", fields.astype(np.float64), dtype="f8")
    return read_simulation(path, Reading(axes="t,y,x"))


def _through(model: Surrogate, simulation: Simulation, scaling: Scaling) -> np.ndarray:
    return scaling.undone(forecast(model, scaling.applied(simulation), 3)).fields


@pytest.mark.parametrize(("factor", "offset"), [(10.0, 0.0), (1.0, 273.0), (1e-3, 0.0)])
def test_a_found_scaling_makes_the_forecast_follow_the_units(
    factor: float, offset: float, model: Surrogate, tmp_path: Path
) -> None:
    plain = _read(tmp_path, waves(rows=SIDE, columns=SIDE))
    other = _read(tmp_path, factor * waves(rows=SIDE, columns=SIDE).astype(float) + offset)
    ours, theirs = (found_scaling(model, each, steps=3) for each in (plain, other))
    wanted = factor * _through(model, plain, ours) + offset
    found = _through(model, other, theirs)
    # Float32 rounds values around the offset; the network enlarges that rounding a little.
    rounding = 1e-5 * factor * np.abs(wanted - offset).max() / factor
    if offset:
        rounding += 2**-23 * offset * 50
    np.testing.assert_allclose(found, wanted, atol=rounding)
    unscaled = forecast(model, other, 3).fields
    expected = factor * forecast(model, plain, 3).fields + offset
    assert np.abs(unscaled - expected).max() > 20 * rounding, "what the scaling is for"


@pytest.mark.parametrize("told", [False, True])
def test_what_breaks_the_symmetry_are_the_statistics_that_a_network_is_told(
    told: bool, tmp_path: Path
) -> None:
    folder = write_checkpoint(tmp_path / "model", instance_norm=True, target="increment")
    model = Surrogate.from_pretrained(folder)
    if not told:
        with torch.no_grad():
            for part in (model.network.scale_features, model.network.shift_features):
                part.weight.zero_()
    context = torch.from_numpy(waves(rows=SIDE, columns=SIDE))[None]
    wanted = 8 * model.forecast(context, 3) + 64
    found = model.forecast(8 * context + 64, 3)
    # Deviations are told apart from zero by 1e-6; values near 64 are rounded to 4e-6.
    assert torch.allclose(found, wanted, atol=2e-3) is not told


def test_a_said_factor_gives_the_forecast_of_the_file_in_the_other_unit(
    model: Surrogate, tmp_path: Path
) -> None:
    plain = _read(tmp_path, waves(rows=SIDE, columns=SIDE))
    other = _read(tmp_path, 8 * waves(rows=SIDE, columns=SIDE))
    scaling = said_scaling("8", other.channels)
    np.testing.assert_array_equal(  # a power of two: nothing is rounded
        _through(model, other, scaling), 8 * forecast(model, plain, 3).fields
    )


def test_a_found_scaling_has_the_moments_of_a_corpus_and_errs_least(
    model: Surrogate, tmp_path: Path
) -> None:
    simulation = _read(tmp_path, 100 * waves(rows=SIDE, columns=SIDE) + 7)
    found = found_scaling(model, simulation, steps=3)
    seen = found.applied(simulation)
    (corpus,) = [name for name in TOLD if name in found.note]
    for own, place in zip(moments_of(seen), range(2), strict=True):
        told = TOLD[corpus][min(place, len(TOLD[corpus]) - 1)]
        assert (own.mean, own.std) == pytest.approx((told["mean"], told["std"]), rel=1e-4, abs=1e-4)

    def ratio(name: str) -> float:
        alone = Surrogate(model.network, model.config, {"statistics": {name: TOLD[name]}})
        scaled = found_scaling(alone, simulation, steps=3).applied(simulation)
        errors = judge(model, scaled, steps=3).errors
        assert errors is not None
        return errors.mean / errors.floor_mean

    assert ratio(corpus) == min(map(ratio, TOLD))


def test_errors_of_a_verdict_are_those_of_the_files_values(
    model: Surrogate, tmp_path: Path
) -> None:
    """An offset that the model sees makes no error smaller."""
    simulation = _read(tmp_path, waves(rows=SIDE, columns=SIDE))
    scaling = said_scaling("0.5-40", simulation.channels)
    report = judge(model, scaling.applied(simulation), steps=2, scaling=scaling)
    assert report.errors is not None
    start, context = report.errors.starts[-1], model.config.context_frames
    past = replace(simulation, fields=simulation.fields[: start + context])
    predicted = scaling.undone(forecast(model, scaling.applied(past), 2)).fields
    true = simulation.fields[start + context : start + context + 2]
    wanted = [
        np.mean(
            [np.linalg.norm(p - t) / np.linalg.norm(t) for p, t in zip(ours, whole, strict=True)]
        )
        for ours, whole in zip(predicted[: len(true)], true, strict=True)  # channel by channel
    ]
    np.testing.assert_allclose(report.errors.model[-1], wanted, rtol=1e-4)
    hidden = judge(model, scaling.applied(simulation), steps=2).errors
    assert hidden is not None
    assert hidden.mean < 0.2 * report.errors.mean


def test_a_scale_whose_values_are_beyond_float32_is_refused(tmp_path: Path) -> None:
    simulation = _read(tmp_path, waves(rows=SIDE, columns=SIDE))
    for scale in ("1e-40", "1+1e300"):
        with pytest.raises(UserError, match="values beyond float32"):
            said_scaling(scale, simulation.channels).applied(simulation)


def test_solid_cells_are_left_alone(tmp_path: Path) -> None:
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[3:6, 5:11] = 0
    fields = waves(channels=1, rows=SIDE, columns=SIDE)[:, 0] * mask
    path = write_arrays(tmp_path / "wake.npz", {"u": fields, "mask": mask})
    simulation = read_simulation(path, Reading(axes="t,y,x"))
    scaling = said_scaling("2+5", simulation.channels)
    seen = scaling.applied(simulation)
    assert not seen.fields[..., mask == 0].any()
    np.testing.assert_allclose(seen.fields[:, 0, mask == 1], (fields[:, mask == 1] - 5) / 2)
    np.testing.assert_allclose(scaling.undone(seen).fields, simulation.fields, atol=1e-6)


def test_a_scale_is_read_as_it_is_written() -> None:
    names = ("T", "p")
    assert said_scaling("100", names).factors == (100, 100)
    both = said_scaling("T=10+273.15, p=1e5", names)
    assert (both.factors, both.offsets) == ((10, 1e5), (273.15, 0))
    assert said_scaling("p=1e-3-2e+1", names).offsets == (0, -20)
    for fault in ("0", "-1", "T=", "nan", "T=1+inf", "x=3", "", "1,,2"):
        with pytest.raises(UserError, match="--scale"):
            said_scaling(fault, names)


def test_values_that_no_training_had_are_said(model: Surrogate, tmp_path: Path) -> None:
    simulation = _read(tmp_path, waves(rows=SIDE, columns=SIDE))
    assert value_hints(model, simulation) == ()
    large = replace(simulation, fields=100 * simulation.fields)
    deviation = moments_of(large)[0].std
    first, second = value_hints(model, large)
    assert f"u0 varies by {deviation:.3g}, {deviation / 4:.3g} times the largest" in first
    assert first.endswith("--scale auto")
    assert "u1" in second
    small = replace(simulation, fields=1e-2 * simulation.fields)
    assert "of the smallest of the training" in value_hints(model, small)[0]
    kelvin = replace(simulation, fields=simulation.fields + 273)
    assert "274.5 in the mean" in value_hints(model, kelvin)[0]
    untold = Surrogate(model.network, model.config, {})
    assert value_hints(untold, large) == ()
    with pytest.raises(UserError, match="does not tell the values of its training"):
        found_scaling(untold, large)


def test_a_report_says_that_errors_of_values_far_from_zero_are_small(
    model: Surrogate, tmp_path: Path
) -> None:
    simulation = read_simulation(write_waves(tmp_path / "flow.npz", waves(rows=SIDE, columns=SIDE)))

    def told(seen: Simulation, scaling: Scaling | None = None) -> list[str]:
        lines = judge(model, seen, steps=2, scaling=scaling).far_from_zero
        return [line for line in lines if line.startswith("u0")]

    assert told(simulation) == []
    u = moments_of(simulation)[0]
    away = np.array([30 * u.std, 0], np.float32)[:, None, None]
    kelvin = replace(simulation, fields=simulation.fields + away)
    (line,) = told(kelvin)
    deviations = 0.1 * np.hypot(u.mean / u.std + 30, 1)
    assert f"0.1 is {deviations:.2g} of its deviations" in line
    assert line in judge(model, kelvin, steps=2).text
    # In the file's values, whatever the model sees.
    scaling = Scaling(factors=(1.0, 1.0), offsets=(30 * u.std, 0.0))
    assert len(told(scaling.applied(kelvin), scaling)) == 1


def test_a_forecast_on_the_command_line_is_in_the_files_units(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = waves(rows=SIDE, columns=SIDE)
    found = []
    for number, factor in enumerate((1.0, 8.0)):
        path = write_waves(tmp_path / f"{number}.npz", factor * fields)
        output = tmp_path / f"forecast_{number}.npz"
        command = ["predict", str(checkpoint), str(path), "--steps", "2", "--scale", str(factor)]
        assert main([*command, "--output", str(output)]) == 0
        with np.load(output) as file:
            found.append(file["u0"])
    np.testing.assert_array_equal(found[1], 8 * found[0])
    assert "the model sees (u0 - 0) / 8" in capsys.readouterr().out
    path = tmp_path / "1.npz"
    assert main(["fingerprint", str(checkpoint), str(path), "--scale", "auto"]) == 0
    assert "as large and as far from zero as in" in capsys.readouterr().out
