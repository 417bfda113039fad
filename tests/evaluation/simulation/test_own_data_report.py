"""The report says what the model errs by, what its routers take the data for, and a verdict."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import random_batch
from laid_out import laid_out
from own_files import waves, write_arrays, write_waves
from runs import write_checkpoint

from data_shards.catalogue import load_card
from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.stream.layout import square
from evaluation.routing.fingerprints import CorpusFingerprint, Fingerprints, save_fingerprints
from evaluation.simulation.known_frames import KnownErrors, expected
from evaluation.simulation.likeness import likeness
from evaluation.simulation.on_model_grid import OnModelGrid, forecast
from evaluation.simulation.report import judge
from evaluation.simulation.training_hints import order_hints
from evaluation.simulation.verdict import Thresholds, decide
from foundation import Surrogate

SIDE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("judged") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Surrogate:
    return Surrogate.from_pretrained(folder)


@pytest.fixture
def simulation(tmp_path: Path) -> Simulation:
    path = write_waves(tmp_path / "flow.h5", waves(rows=SIDE, columns=SIDE))
    return read_simulation(path, Reading(axes="t,y,x"))


def _routes(model: Surrogate, simulation: Simulation) -> np.ndarray:
    """Mean routing distribution (L, E) over all windows, from the model itself."""
    fields = torch.from_numpy(simulation.fields)
    windows = torch.stack([fields[start : start + 10] for start in range(len(fields) - 9)])
    return np.stack([block.probabilities.mean(0).numpy() for block in model.route(windows)])


def _fingerprints(model: Surrogate, **corpora: np.ndarray) -> Fingerprints:
    return Fingerprints(
        model=model.fingerprint,
        temperature=1.0,
        context_frames=10,
        start="random",
        corpora=tuple(
            CorpusFingerprint(
                corpus=name,
                split="train",
                windows=4,
                trajectories=4,
                shards="-",
                probabilities=tuple(map(tuple, values.astype(float).tolist())),
            )
            for name, values in corpora.items()
        ),
    )


def _by_hand(model: Surrogate, fields: torch.Tensor, start: int) -> tuple[list[float], list[float]]:
    """Errors of one forecast of all that follows, and of repeating, channels averaged."""
    context, true = fields[start : start + 10], fields[start + 10 :]
    pred = model.forecast(context[None], len(true))[0]

    def error(of: torch.Tensor) -> list[float]:
        norm = true.square().sum((2, 3)).sqrt()
        return ((of - true).square().sum((2, 3)).sqrt() / norm).mean(1).tolist()

    return error(pred), error(context[-1:].expand_as(true))


def test_forecasts_of_known_frames_are_measured_as_by_hand(
    model: Surrogate, simulation: Simulation
) -> None:
    fields = torch.from_numpy(simulation.fields)
    errors = judge(model, simulation).errors
    assert errors is not None
    assert errors.starts == (0, 1, 2)
    assert errors.forecasts_by_frame == (3, 2, 1)
    for start in range(3):
        own, floor = _by_hand(model, fields, start)
        # Batches of other sizes round otherwise.
        assert errors.model[start] == pytest.approx(own, rel=1e-4)
        assert errors.persistence[start] == pytest.approx(floor, rel=1e-5)
    middle = sorted(row[0] for row in errors.model)
    assert errors.by_frame[0].model_dump(exclude={"expected"}) == {
        "lowest": middle[0], "median": middle[1], "highest": middle[2]
    }  # fmt: skip


def test_a_forecast_is_judged_as_far_as_it_is_asked_from_starts_that_know_so_much(
    model: Surrogate, tmp_path: Path
) -> None:
    path = write_waves(tmp_path / "flow.h5", waves(frames=30, rows=SIDE, columns=SIDE))
    simulation = read_simulation(path, Reading(axes="t,y,x"))
    errors = judge(model, simulation, steps=4).errors
    assert errors is not None
    assert {len(row) for row in errors.model} == {4}
    assert (errors.starts[0], errors.starts[-1], len(errors.starts)) == (0, 16, 8)
    own, _ = _by_hand(model, torch.from_numpy(simulation.fields), 16)
    assert errors.model[-1] == pytest.approx(own, rel=1e-4)
    long = judge(model, simulation, steps=50)
    assert long.errors is not None
    assert (long.errors.reach, long.verdict.tested, long.verdict.asked) == (20, 20, 50)
    assert "not tested: frames 21 to 50" in long.text


def test_a_channel_that_is_zero_is_not_scored(model: Surrogate, tmp_path: Path) -> None:
    fields = waves(rows=SIDE, columns=SIDE)
    fields[:, 1] = 0
    path = write_waves(tmp_path / "flow.h5", fields)
    errors = judge(model, read_simulation(path, Reading(axes="t,y,x"))).errors
    assert errors is not None
    assert errors.channels == ("u0",)
    assert errors.by_frame[0].median < 10  # relative to zero it would be without bounds


def test_detail_is_kept_from_the_last_frame_where_that_errs_less(
    model: Surrogate, tmp_path: Path
) -> None:
    fine = waves(frames=14, channels=1, rows=32, columns=32)[:, 0]
    checks = np.indices((32, 32)).sum(0) % 2 - 0.5  # waves that 16 cells a side do not resolve
    still = write_arrays(tmp_path / "still.npy", {"u": fine + checks.astype(np.float32)})
    simulation = read_simulation(still, Reading(axes="t,y,x", boundary="periodic"))
    report = judge(model, simulation, steps=4)
    errors = report.errors
    assert errors is not None
    assert errors.other is not None
    assert report.keeps_detail
    assert errors.mean < errors.other
    future = forecast(model, simulation, 4, keep_detail=True).fields
    smooth = read_simulation(
        write_arrays(tmp_path / "smooth.npy", {"u": fine}),
        Reading(axes="t,y,x", boundary="periodic"),
    )
    # The checks neither reach the model nor move: its own forecast, and them on top.
    wanted = forecast(model, smooth, 4).fields + checks
    np.testing.assert_allclose(future, wanted, atol=2e-5)  # sums of float32 in other orders
    turning = fine + checks * (-1.0) ** np.arange(14, dtype=np.float32)[:, None, None]
    moving = read_simulation(
        write_arrays(tmp_path / "moving.npy", {"u": turning.astype(np.float32)}),
        Reading(axes="t,y,x", boundary="periodic"),
    )
    left = judge(model, moving, steps=1)
    assert not left.keeps_detail
    assert left.errors is not None
    assert left.errors.mean < (left.errors.other or 0)


def test_the_corpus_whose_fingerprint_it_is_comes_first_at_distance_zero(
    model: Surrogate, simulation: Simulation
) -> None:
    own = _routes(model, simulation)
    other = np.full_like(own, 1 / own.shape[1])
    found = likeness(
        model,
        OnModelGrid(model, simulation),
        [0, 1, 2, 3],
        _fingerprints(model, other=other, own=own),
    )
    assert [each.corpus for each in found.corpora] == ["own", "other"]
    assert found.nearest.divergence == pytest.approx(0, abs=1e-5)  # float32 softmax
    assert found.nearest.windows == 1
    # By hand: KL(own || other), summed over blocks.
    wanted = float((own * np.log(own / other)).sum())
    assert found.corpora[1].divergence == pytest.approx(wanted, rel=1e-3)
    assert found.reach == pytest.approx(wanted, rel=1e-3)


def test_routers_see_an_obstacle_as_in_training(model: Surrogate, tmp_path: Path) -> None:
    card = load_card("cfdbench")
    assert card.mask_as_channel
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[3:7, 5:9] = 0
    fields = waves(rows=SIDE, columns=SIDE) * mask
    arrays = {"u": fields[:, 0], "v": fields[:, 1], "mask": mask}
    path = write_arrays(tmp_path / "wake.npz", arrays)
    simulation = read_simulation(path, Reading(axes="t,y,x"))
    layout = square(SIDE, model.config.channels)
    laid, asked_mask, valid = laid_out(fields[:10], mask, card, layout)
    batch = replace(random_batch(torch.Generator(), 1), given=laid[None])
    batch = replace(batch, asked_mask=asked_mask[None], valid_mask=valid[None])
    with torch.inference_mode():
        routing = model(batch).routing
    own = np.stack([block.probabilities_BE[0].numpy() for block in routing])
    placed = OnModelGrid(model, simulation)
    even = np.full_like(own, 1 / own.shape[1])
    found = likeness(model, placed, [0], _fingerprints(model, even=even, own=own))
    assert found.nearest.corpus == "own"
    # Of the order of squared float32 round-off; an obstacle left out moves it far above.
    assert found.nearest.divergence == pytest.approx(0, abs=1e-9)


def test_fingerprints_beside_the_checkpoint_are_found(
    folder: Path, model: Surrogate, simulation: Simulation
) -> None:
    before = judge(model, simulation, folder)
    assert before.likeness is None
    assert "no such file" in before.likeness_note
    own = _routes(model, simulation)
    path = save_fingerprints(_fingerprints(model, own=own), folder)
    try:
        report = judge(model, simulation, folder)
        assert report.likeness is not None
        assert report.likeness.reach is None
        assert "own" in report.text
        assert json.loads(json.dumps(report.plain()))["likeness"]["corpora"][0]["corpus"] == "own"
        path.write_text("{")
        assert "not readable as JSON" in judge(model, simulation, folder).text
    finally:
        path.unlink()


def test_a_dense_model_says_that_it_has_no_routers(tmp_path: Path, simulation: Simulation) -> None:
    folder = write_checkpoint(tmp_path / "dense", "fno")
    report = judge(Surrogate.from_pretrained(folder), simulation, folder)
    assert report.likeness is None
    assert "dense" in report.likeness_note
    assert report.errors is not None


def test_resampling_of_resolved_waves_costs_nothing(model: Surrogate, tmp_path: Path) -> None:
    fine = read_simulation(
        write_waves(tmp_path / "flow.h5", waves(rows=24, columns=40)), Reading(boundary="periodic")
    )
    assert judge(model, fine).resampling < 1e-6  # float32
    noise = np.random.default_rng(0).normal(size=(11, 32, 32)).astype(np.float32)
    rough = read_simulation(
        write_arrays(tmp_path / "noise.npy", {"u": noise}), Reading(boundary="periodic")
    )
    # A quarter of white noise's waves fits on half as many cells per axis.
    assert judge(model, rough).resampling == pytest.approx(np.sqrt(3 / 4), abs=0.03)


def _errors(model: list[list[float]], persistence: list[list[float]]) -> KnownErrors:
    return KnownErrors(
        starts=tuple(range(len(model))),
        model=tuple(map(tuple, model)),
        persistence=tuple(map(tuple, persistence)),
        channels=("u",),
        last=len(model) - 1,
    )


FLOOR = [[0.3, 0.6, 0.9]] * 3
GROWS = [[0.04, 0.08, 0.15], [0.05, 0.12, 0.25], [0.06, 0.21, 0.4]]


@pytest.mark.parametrize(
    ("errors", "asked", "answer", "usable", "words"),
    [
        (_errors(GROWS, FLOOR), 2, "usable", 2, "can be used for all its 2 frames"),
        (_errors(GROWS, FLOOR), 3, "partly", 2, "its first 2 of 3 frames"),
        (_errors(GROWS, FLOOR), 3, "partly", 2, "from frame 3 on it cannot"),
        (_errors(GROWS, FLOOR), None, "partly", 2, "of 3"),
        (_errors([[0.05, 0.1]], [[0.3, 0.6]]), 9, "partly", 2, "frames 3 to 9 were not tested"),
        (_errors([[0.3, 0.1]], [[0.9, 0.9]]), 2, "fine_tune", 0, "an error of 0.300"),
        (_errors([[0.05, 0.1]], [[0.04, 0.09]]), 2, "fine_tune", 0, "fine-tune first"),
        # Behind at first, ahead of repeating in the mean of both frames.
        (_errors([[0.03, 0.05]], [[0.02, 0.09]]), 2, "usable", 2, "can be used for all its 2"),
        (_errors([[float("inf")]], [[0.05]]), 1, "fine_tune", 0, "diverged"),
        (_errors([[0.1]], [[0.0]]), 1, "unknown", 0, "nothing moves"),
        (None, 4, "unknown", 0, "give at least 11"),
    ],
)
def test_the_verdict_follows_from_stated_thresholds(
    errors: KnownErrors | None, asked: int | None, answer: str, usable: int, words: str
) -> None:
    verdict = decide(errors, 0.0, Thresholds(), 10, asked)
    assert (verdict.answer, verdict.usable) == (answer, usable)
    assert words in verdict.sentence
    assert verdict.sentence.endswith(".")


def test_frames_within_a_limit_are_told_with_their_spread() -> None:
    errors = _errors(GROWS, FLOOR)
    assert errors.within(0.2).model_dump() == {"expected": 2, "first": 1, "last": 3}
    assert errors.within(0.1).model_dump() == {"expected": 1, "first": 1, "last": 2}
    assert errors.better_until == 3


def test_errors_that_change_from_start_to_start_are_followed_to_the_last_frame() -> None:
    # ln error = ln .01 + .3 frame + .1 start, of starts that know fewer and fewer frames.
    starts = [0, 3, 5, 6]
    rows = [[0.01 * math.exp(0.3 * k + 0.1 * s) for k in range(7 - s)] for s in starts]
    wanted = [0.01 * math.exp(0.3 * k + 0.1 * 9) for k in range(7)]
    assert expected(rows, starts, 9) == pytest.approx(wanted, rel=1e-9)
    # No farther than a factor of five, and nothing from what is not finite or is zero.
    assert expected([[1e-3], [1.0]], [0, 1], 9) == pytest.approx([5 * math.sqrt(1e-3)])
    assert expected([[0.1, math.inf], [0.1]], [0, 1], 2) == pytest.approx([0.1, math.inf])
    assert expected([[0.0], [0.0]], [0, 1], 2) == (0.0,)


def test_resampling_is_named_where_it_is_the_error() -> None:
    errors = _errors(GROWS, FLOOR)
    assert "resampling" not in decide(errors, 0.01, Thresholds(), 10, 2).sentence
    assert "alone errs by 0.0400" in decide(errors, 0.04, Thresholds(), 10, 2).sentence
    kept = errors.model_copy(update={"keeps_detail": True})
    assert "resampling" not in decide(kept, 0.04, Thresholds(), 10, 2).sentence


def test_a_typical_other_corpus_is_the_scale_of_strangeness(
    model: Surrogate, simulation: Simulation
) -> None:
    own = _routes(model, simulation)
    even, one = np.full_like(own, 1 / own.shape[1]), np.full_like(own, 1e-9)
    one[:, 0] = 1 - 1e-9 * (own.shape[1] - 1)
    twin = 0.999 * own + 0.001 * even
    fingerprints = _fingerprints(model, twin=twin, even=even, own=own, one=one)
    found = likeness(model, OnModelGrid(model, simulation), [0, 1, 2, 3], fingerprints)
    # The twin does not count: the median of three is the distance from `even`.
    assert found.reach == pytest.approx(float((own * np.log(own / even)).sum()), rel=1e-3)


def test_channels_in_another_order_than_in_training_are_told(folder: Path, tmp_path: Path) -> None:
    trained = Surrogate.from_pretrained(folder)
    trained.about["corpora"] = ["fno_ns_1e-5", "pdebench_cns_m0.1", "no_card_of_ours"]
    fields = waves(channels=4)
    names = ("density", "vy", "pressure", "vx")
    arrays = {name: fields[:, number] for number, name in enumerate(names)}
    path = write_arrays(tmp_path / "gas.npz", arrays)
    hints = judge(trained, read_simulation(path, Reading(axes="t,y,x"))).assumed
    (hint,) = [line for line in hints if "--channels" in line and "pdebench_cns_m0.1" in line]
    order = load_card("pdebench_cns_m0.1").channel_names
    told = hint.rpartition("--channels ")[2].split(",")
    assert [name.lower() for name in told] == [name.lower() for name in order]
    right = read_simulation(path, Reading(axes="t,y,x", channels=tuple(told)))
    assert not order_hints(trained, right)


def test_a_file_without_a_frame_to_compare_with_says_so(model: Surrogate, tmp_path: Path) -> None:
    report = judge(model, read_simulation(write_waves(tmp_path / "a.h5", waves(frames=10))))
    assert report.errors is None
    assert report.verdict.answer == "unknown"
    assert "no frame to compare with" in report.text
