"""The report says what the model errs by, what its routers take the data for, and a verdict."""

import json
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
from evaluation.simulation.channels import order_hints
from evaluation.simulation.likeness import CorpusDistance, Likeness, likeness
from evaluation.simulation.on_model_grid import OnModelGrid
from evaluation.simulation.report import OneStep, Thresholds, decide, judge
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


def test_one_step_is_measured_as_by_hand(model: Surrogate, simulation: Simulation) -> None:
    fields = torch.from_numpy(simulation.fields)
    errors, floors = [], []
    for start in range(3):
        context, true = fields[start : start + 10], fields[start + 10]
        pred = model.forecast(context[None], 1)[0, 0]
        norm = true.square().sum((1, 2)).sqrt()
        errors.append(((pred - true).square().sum((1, 2)).sqrt() / norm).mean())
        floors.append(((context[-1] - true).square().sum((1, 2)).sqrt() / norm).mean())
    step = judge(model, simulation).one_step
    assert step is not None
    assert step.windows == 3
    assert step.model == pytest.approx(float(torch.stack(errors).mean()), rel=1e-5)
    assert step.persistence == pytest.approx(float(torch.stack(floors).mean()), rel=1e-5)


def test_a_channel_that_is_zero_is_not_scored(model: Surrogate, tmp_path: Path) -> None:
    fields = waves(rows=SIDE, columns=SIDE)
    fields[:, 1] = 0
    path = write_waves(tmp_path / "flow.h5", fields)
    step = judge(model, read_simulation(path, Reading(axes="t,y,x"))).one_step
    assert step is not None
    assert step.channels == ("u0",)
    assert step.model < 10  # relative to zero it would be without bounds


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
    assert report.one_step is not None


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


def _step(model: float, persistence: float) -> OneStep:
    return OneStep(windows=3, model=model, persistence=persistence, channels=("u",))


def _likeness(strangeness: float) -> Likeness:
    near = CorpusDistance(corpus="near", cross_entropy=3, divergence=strangeness, windows=1)
    return Likeness(windows=3, corpora=(near,), reach=1.0)


@pytest.mark.parametrize(
    ("step", "likes", "answer", "words"),
    [
        (_step(0.05, 0.2), _likeness(0.1), "zero_shot", "can be used as it is"),
        (_step(0.05, 0.2), None, "zero_shot", "could not be asked"),
        (_step(0.05, 0.2), _likeness(1.5), "doubtful", "150% as far from near"),
        (_step(0.15, 0.4), _likeness(0.1), "doubtful", "wanted at most 0.1)"),
        (_step(0.08, 0.1), _likeness(0.1), "doubtful", "wanted at most 0.5 times"),
        (_step(0.3, 0.4), None, "doubtful", "wanted at most 0.1 and at most 0.5 times"),
        (_step(0.05, 0.05), _likeness(0.1), "fine_tune", "fine-tune first"),
        (_step(float("inf"), 0.05), None, "fine_tune", "diverged"),
        (_step(0.1, 0.0), None, "unknown", "nothing moves"),
        (None, _likeness(1.5), "unknown", "give at least 11"),
    ],
)
def test_the_verdict_follows_from_stated_thresholds(
    step: OneStep | None, likes: Likeness | None, answer: str, words: str
) -> None:
    verdict = decide(step, likes, Thresholds(), 10)
    assert verdict.answer == answer
    assert words in verdict.sentence
    assert verdict.sentence.endswith(".")


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
    assert report.one_step is None
    assert report.verdict.answer == "unknown"
    assert "no frame to compare with" in report.text
