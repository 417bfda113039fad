"""What is scrubbed through is the model's own forecast, its error, and the experts that fired."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_files import waves, write_arrays, write_waves
from runs import write_checkpoint
from travelling_waves import CORPORA

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.stream.layout import square
from data_shards.stream.windows import load_windows
from evaluation.metrics.points import scored_points
from evaluation.metrics.relative import l2re_per_frame
from evaluation.routing.fingerprints import CorpusFingerprint, Fingerprints
from evaluation.simulation.likeness import likeness
from evaluation.simulation.on_model_grid import OnModelGrid
from evaluation.simulation.page.samples import sample_simulation, shelves
from evaluation.simulation.page.scrub import MOST_STEPS, scrub
from evaluation.simulation.scaling import Scaling
from foundation import Surrogate
from foundation.models.rollout import rollout

SIDE = 16


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    """Of one and of two frames per call."""
    folder = tmp_path_factory.mktemp("scrub") / "model"
    return Surrogate.from_pretrained(write_checkpoint(folder, out_frames=request.param))


def _simulation(folder: Path, rows: int = SIDE, columns: int = SIDE) -> Simulation:
    path = write_waves(folder / "flow.h5", waves(frames=15, rows=rows, columns=columns))
    return read_simulation(path, Reading(axes="t,y,x"))


def _wake(folder: Path) -> Simulation:
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[3:7, 5:9] = 0
    fields = waves(frames=15, rows=SIDE, columns=SIDE) * mask
    arrays = {"u": fields[:, 0], "v": fields[:, 1], "mask": mask}
    return read_simulation(write_arrays(folder / "wake.npz", arrays), Reading(axes="t,y,x"))


def test_frames_are_those_of_the_models_forecast(model: Surrogate, tmp_path: Path) -> None:
    simulation = _simulation(tmp_path)
    found = scrub(model, simulation, start=2, steps=5)
    context = torch.from_numpy(simulation.fields[2:12])[None]
    np.testing.assert_array_equal(found.forecast, model.forecast(context, 5)[0].numpy())
    np.testing.assert_array_equal(found.truth, simulation.fields[12:])
    assert (len(found.forecast), len(found.truth)) == (5, 3)


def test_what_a_model_sees_in_other_units_is_shown_in_those_of_the_file(
    model: Surrogate, tmp_path: Path
) -> None:
    simulation = _wake(tmp_path)
    scaling = Scaling(factors=(8.0, 8.0), offsets=(0.0, 0.0))  # powers of two: no rounding
    found = scrub(model, simulation, start=1, steps=4, scaling=scaling)
    np.testing.assert_array_equal(found.simulation.fields, simulation.fields[1:15])
    small = scrub(model, scaling.applied(simulation), start=1, steps=4)
    np.testing.assert_array_equal(found.forecast, 8 * small.forecast)
    np.testing.assert_allclose(found.errors.model, small.errors.model, rtol=1e-6)


def test_the_error_is_forecast_less_truth_relative_to_the_truth(
    model: Surrogate, tmp_path: Path
) -> None:
    fields = waves(frames=15, rows=12, columns=20)
    fields[:, 1] = 0  # a channel that is zero throughout is not scored
    path = write_waves(tmp_path / "flow.h5", fields)
    found = scrub(model, read_simulation(path, Reading(axes="t,y,x")))
    np.testing.assert_array_equal(found.error, found.forecast - fields[10:])

    def norm(values: np.ndarray) -> np.ndarray:
        return np.sqrt((values[:, 0].astype(float) ** 2).sum((1, 2)))

    by_hand = norm(found.error) / norm(fields[10:])
    held = norm(fields[9:10] - fields[10:]) / norm(fields[10:])
    # Sums of 240 float32 squares.
    np.testing.assert_allclose(found.errors.model, by_hand, rtol=1e-5)
    np.testing.assert_allclose(found.errors.persistence, held, rtol=1e-5)
    first, second = found.channel_errors
    assert first is not None
    np.testing.assert_allclose(first.model, by_hand, rtol=1e-5)
    assert second is None


@pytest.mark.parametrize("obstacle", [False, True])
def test_experts_are_those_that_fired_in_the_rollout(
    model: Surrogate, tmp_path: Path, obstacle: bool
) -> None:
    simulation = _wake(tmp_path) if obstacle else _simulation(tmp_path)
    seen = []
    hook = model.network.register_forward_hook(lambda *call: seen.append(call[-1].routing))
    try:
        found = scrub(model, simulation, start=1, steps=4)
    finally:
        hook.remove()
    assert found.firing is not None
    out = model.config.out_frames
    for frame in range(4):  # the rollout's own calls come first, one per `out` frames
        for block, routing in enumerate(seen[frame // out]):
            np.testing.assert_array_equal(
                found.firing.experts_FLS[frame, block], routing.experts_BK[0].numpy()
            )
            # Batches of other sizes round otherwise.
            np.testing.assert_allclose(
                found.firing.probabilities_FLE[frame, block],
                routing.probabilities_BE[0].numpy(),
                atol=1e-6,
            )
            np.testing.assert_allclose(
                found.firing.weights_FLS[frame, block], routing.weights_BK[0].numpy(), atol=1e-6
            )


def test_the_first_frames_experts_are_those_of_the_models_route(
    model: Surrogate, tmp_path: Path
) -> None:
    simulation = _simulation(tmp_path)
    found = scrub(model, simulation, steps=1)
    assert found.firing is not None
    for block, route in enumerate(model.route(torch.from_numpy(simulation.fields[:10])[None])):
        np.testing.assert_array_equal(found.firing.experts_FLS[0, block], route.experts[0].numpy())
        np.testing.assert_allclose(
            found.firing.probabilities_FLE[0, block], route.probabilities[0].numpy(), atol=1e-6
        )


def test_likeness_is_that_of_the_shown_context(model: Surrogate, tmp_path: Path) -> None:
    simulation = _simulation(tmp_path)
    own = [r.probabilities[0].double().numpy() for r in model.route(
        torch.from_numpy(simulation.fields[3:13])[None])]  # fmt: skip
    even = [np.full_like(row, 1 / len(row)) for row in own]
    corpora = tuple(
        CorpusFingerprint(
            corpus=name, split="train", windows=1, trajectories=1, shards="-",
            probabilities=tuple(tuple(row.tolist()) for row in rows),
        )
        for name, rows in (("even", even), ("own", own))
    )  # fmt: skip
    fingerprints = Fingerprints(
        model=model.fingerprint, temperature=1.0, context_frames=10, start="random",
        corpora=corpora,
    )  # fmt: skip
    found = scrub(model, simulation, fingerprints, start=3).likeness
    assert found is not None
    assert found.nearest.corpus == "own"
    assert found == likeness(model, OnModelGrid(model, simulation), [3], fingerprints)


def test_times_go_on_beyond_what_is_known(model: Surrogate, tmp_path: Path) -> None:
    simulation = _simulation(tmp_path)
    step = simulation.times.values[1] - simulation.times.values[0]
    found = scrub(model, simulation, start=4, steps=4)
    last = simulation.times.values[-1]
    np.testing.assert_allclose(found.times, last + step * np.arange(4))
    unknown = scrub(model, simulation, start=5)
    assert (len(unknown.truth), len(unknown.forecast)) == (0, 10)
    assert not len(unknown.errors.model)


@pytest.mark.parametrize(
    ("start", "steps", "fault"),
    [
        (6, 1, "start frame 6, wanted 0 to 5"),
        (-1, 1, "start frame -1"),
        (0, MOST_STEPS + 1, f"wanted 1 to {MOST_STEPS}"),
        (0, -1, "-1 frames to predict"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    model: Surrogate, tmp_path: Path, start: int, steps: int, fault: str
) -> None:
    with pytest.raises(UserError, match=fault):
        scrub(model, _simulation(tmp_path), start=start, steps=steps)


def test_a_dense_model_has_no_experts(tmp_path: Path) -> None:
    dense = Surrogate.from_pretrained(write_checkpoint(tmp_path / "dense", "fno"))
    found = scrub(dense, _simulation(tmp_path), steps=2)
    assert found.firing is None
    assert np.isfinite(found.forecast).all()


@pytest.mark.parametrize("name", CORPORA)
def test_a_samples_errors_are_those_of_the_harness(name: str, waves: Path, tmp_path: Path) -> None:
    """On the model's own grid, with and without an obstacle, by the harness's own batches."""
    checkpoint = write_checkpoint(tmp_path / "model", resolution=32)
    model = Surrogate.from_pretrained(checkpoint)
    corpus = ShardedCorpus.open(waves, name, "test")
    layout = square(32, 4)
    batch = load_windows(corpus, [1], layout, context_frames=10, target_frames=4)
    with torch.inference_mode():
        predicted = rollout(model, batch, 4)
    points = scored_points(batch.asked_mask, batch.valid_mask)
    wanted = l2re_per_frame(predicted, batch.asked, points)[0]
    found = scrub(model, sample_simulation(corpus, 1, model), steps=4)
    np.testing.assert_allclose(found.errors.model, wanted.numpy(), rtol=1e-6)


def test_shelves_hold_what_the_model_can_take_test_splits_first(
    waves: Path, tmp_path: Path
) -> None:
    wide = Surrogate.from_pretrained(write_checkpoint(tmp_path / "wide"))
    found, left_out = shelves(waves, wide)
    assert {shelf.corpus for shelf in found} == set(CORPORA)
    assert [shelf.split for shelf in found[:2]] == ["test", "test"]
    assert not left_out
    narrow = Surrogate.from_pretrained(write_checkpoint(tmp_path / "narrow", channels=2))
    found, left_out = shelves(waves, narrow)
    assert {shelf.corpus for shelf in found} == {"toy_wave"}
    assert "toy_duct" in left_out[0]
    assert "obstacle mask" in left_out[0]
