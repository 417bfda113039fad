"""Laws of the judge: closed forms of the floors, the stride, limits, diverged forecasts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import square
from data_shards.trajectory import Trajectory
from evaluation.harness.forecaster import Forecaster, open_forecaster
from evaluation.harness.runner import RunSettings, run_task
from evaluation.metrics.names import METRICS
from evaluation.records.bootstrap import standard_error
from evaluation.records.predictions import PredictionReader
from evaluation.records.record import ModelFacts
from evaluation.tasks.task import Task, load_tasks

Open = Callable[[str], ShardedCorpus]
CPU = torch.device("cpu")


def _task(corpus: str) -> Task:
    return load_tasks()[f"zero_shot_{corpus}"]


def _model(
    forecast: Callable[[Batch, int], Tensor],
    resolution: int | None = None,
    context_frames: int | None = None,
) -> Forecaster:
    facts = ModelFacts(
        name="model", model_type="test", source="test", fingerprint="f" * 64, config_hash="c" * 64
    )
    layout = square(resolution) if resolution else None
    return Forecaster(facts, forecast, layout, context_frames)


def _cut(corpus: str, frames: int) -> Task:
    return _task(corpus).model_copy(update={"rollout_frames": frames})


@pytest.mark.parametrize("name", ["fno_ns_1e-5", "cfdbench"])
@pytest.mark.parametrize(("floor", "guess"), [("persistence", 1.45), ("context_mean", 1.225)])
def test_floors_score_their_closed_form(corpus: Open, name: str, floor: str, guess: float) -> None:
    # Frame t of the shards is (1 + 0.05 t) times a fixed field; the context ends at t = 9.
    record, samples = run_task(
        open_forecaster(f"floor:{floor}", CPU), _task(name), corpus(name), RunSettings()
    )
    true = 1 + 0.05 * torch.arange(10, 20)
    per_frame = (true - guess).abs() / true
    l2re = torch.linalg.vector_norm(true - guess) / torch.linalg.vector_norm(true)
    # 1e-5: float32 sums
    assert record.headline.value == pytest.approx(l2re.item(), rel=1e-5)
    torch.testing.assert_close(torch.tensor(record.error_per_frame), per_frame, rtol=1e-5, atol=0)
    assert record.model.floor
    assert len(samples.keys) == record.num_samples == corpus(name).num_trajectories


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_batch_size_changes_no_sample(corpus: Open, batch_size: int) -> None:
    shards, task = corpus("pdebench_cns_m0.1"), _task("pdebench_cns_m0.1")
    floor = open_forecaster("floor:persistence", CPU)
    _, samples = run_task(floor, task, shards, RunSettings(batch_size=batch_size))
    _, whole = run_task(floor, task, shards, RunSettings(batch_size=3))
    assert samples.keys == whole.keys
    for name, values in whole.values.items():
        assert samples.values[name] == pytest.approx(values, rel=1e-6)


def test_a_finer_model_is_scored_on_every_kth_point_alone(corpus: Open) -> None:
    def spoiled(batch: Batch, steps: int) -> Tensor:
        last = batch.given[:, -1:].repeat(1, steps, 1, 1, 1)
        kept = last.clone()
        last += 1e3
        last[..., ::2, ::2] = kept[..., ::2, ::2]
        return last

    def clean(batch: Batch, steps: int) -> Tensor:
        return batch.given[:, -1:].repeat(1, steps, 1, 1, 1)

    shards, task = corpus("fno_ns_1e-5"), _task("fno_ns_1e-5")
    record, _ = run_task(_model(spoiled, resolution=16), task, shards, RunSettings())
    expected, _ = run_task(_model(clean, resolution=16), task, shards, RunSettings())
    assert record.provenance.stride == 2
    assert record.scores == expected.scores
    same_grid, _ = run_task(_model(clean, resolution=8), task, shards, RunSettings())
    assert same_grid.provenance.stride == 1


def test_a_perfect_forecast_scores_zero(corpus: Open) -> None:
    def grown(batch: Batch, steps: int) -> Tensor:
        rate = batch.given[:, -1:] - batch.given[:, -2:-1]
        ahead = torch.arange(1, steps + 1).reshape(1, -1, 1, 1, 1)
        return batch.given[:, -1:] + ahead * rate

    record, _ = run_task(
        _model(grown, resolution=8), _task("fno_ns_1e-5"), corpus("fno_ns_1e-5"), RunSettings()
    )
    assert record.headline.value == pytest.approx(0.0, abs=2e-6)  # float32 differences


def test_solid_cells_and_padding_do_not_count(corpus: Open) -> None:
    def disturbed(batch: Batch, steps: int) -> Tensor:
        last = batch.given[:, -1:].repeat(1, steps, 1, 1, 1)
        unscored = (batch.asked_mask[:, None, :, None, None] * batch.valid_mask[:, None]) == 0
        return torch.where(unscored, 1e6, last)

    shards, task = corpus("cfdbench"), _task("cfdbench")
    record, _ = run_task(_model(disturbed, resolution=8), task, shards, RunSettings())
    floor, _ = run_task(open_forecaster("floor:persistence", CPU), task, shards, RunSettings())
    assert record.headline.value == pytest.approx(floor.headline.value, rel=1e-6)


def test_a_diverged_forecast_is_counted_and_scores_inf(corpus: Open) -> None:
    def bursting(batch: Batch, steps: int) -> Tensor:
        pred = batch.given[:, -1:].repeat(1, steps, 1, 1, 1)
        pred[0, 3:] = torch.nan
        return pred

    record, samples = run_task(
        _model(bursting, resolution=8),
        _task("fno_ns_1e-5"),
        corpus("fno_ns_1e-5"),
        RunSettings(batch_size=5),
    )
    assert record.num_non_finite == 1
    assert {score.value for score in record.scores.values()} == {float("inf")}
    assert (samples.values["l2re"] < float("inf")).sum() == 4
    assert record.error_per_frame[2] < float("inf") == record.error_per_frame[3]


def test_limit_takes_the_first_trajectories_and_the_record_says_so(corpus: Open) -> None:
    shards = corpus("fno_ns_1e-5")
    told: list[int] = []
    record, samples = run_task(
        open_forecaster("floor:persistence", CPU),
        _task("fno_ns_1e-5"),
        shards,
        RunSettings(limit=3, batch_size=2),
        told.append,
    )
    assert (record.num_samples, record.num_available) == (3, 5)
    assert samples.keys == tuple(f"{key}@0" for key in shards.keys[:3])
    assert told == [2, 1]


def test_a_model_of_shorter_context_gets_the_latest_frames(corpus: Open) -> None:
    seen: list[Tensor] = []

    def remember(batch: Batch, steps: int) -> Tensor:
        seen.append(batch.given)
        return batch.given[:, -1:].expand(-1, steps, -1, -1, -1)

    shards, task = corpus("fno_ns_1e-5"), _task("fno_ns_1e-5")
    run_task(_model(remember, 8, context_frames=4), task, shards, RunSettings(limit=1))
    stored = torch.from_numpy(shards.window(0, 6, 4).copy())
    torch.testing.assert_close(seen[0][0, :, :1], stored)
    with pytest.raises(UserError, match="takes 11 frames of context"):
        run_task(_model(remember, 8, context_frames=11), task, shards, RunSettings())


def test_trajectories_shorter_than_the_task_are_refused(corpus: Open) -> None:
    with pytest.raises(UserError, match="have 20 frames, task zero_shot_cfdbench needs 21"):
        run_task(
            open_forecaster("floor:persistence", CPU),
            _cut("cfdbench", 11),
            corpus("cfdbench"),
            RunSettings(),
        )


def test_windows_are_samples_of_their_own_and_stand_side_by_side(corpus: Open) -> None:
    shards = corpus("fno_ns_1e-5")
    task = _cut("fno_ns_1e-5", 4).model_copy(update={"windows": (5, 0, 3)})
    floor = open_forecaster("floor:persistence", CPU)
    told: list[int] = []
    settings = RunSettings(limit=2, batch_size=4)
    record, samples = run_task(floor, task, shards, settings, told.append)
    keys = [f"{key}@{start}" for key in shards.keys[:2] for start in (0, 3, 5)]
    assert list(samples.keys) == keys
    assert (record.num_samples, record.num_available, told) == (6, 15, [4, 2])
    together = standard_error(samples.values["l2re"], windows=3)
    assert record.headline.standard_error == together != standard_error(samples.values["l2re"])
    # Frame t is (1 + 0.05 t) times a fixed field; the context of window s ends at s + 9.
    for start, value in zip((0, 3, 5), samples.values["l2re"], strict=False):
        true = 1 + 0.05 * torch.arange(start + 10, start + 14)
        guess = 1 + 0.05 * (start + 9)
        expected = torch.linalg.vector_norm(true - guess) / torch.linalg.vector_norm(true)
        assert value == pytest.approx(expected.item(), rel=1e-5)
    alone, _ = run_task(floor, _cut("fno_ns_1e-5", 4), shards, RunSettings(limit=2))
    assert alone.headline.value == pytest.approx(samples.values["l2re"][::3].mean(), rel=1e-6)


def test_windows_that_leave_the_trajectories_are_refused(corpus: Open) -> None:
    task = _cut("cfdbench", 4).model_copy(update={"windows": (0, 7)})
    with pytest.raises(UserError, match="have 20 frames, task zero_shot_cfdbench needs 21"):
        run_task(open_forecaster("floor:persistence", CPU), task, corpus("cfdbench"), RunSettings())


def test_a_task_can_ask_for_some_trajectories_alone(corpus: Open) -> None:
    shards = corpus("fno_ns_1e-5")
    floor = open_forecaster("floor:persistence", CPU)
    task = _task("fno_ns_1e-5").model_copy(update={"keys": "*-00000[13]"})
    record, samples = run_task(floor, task, shards, RunSettings())
    assert [key.partition("@")[0] for key in samples.keys] == [shards.keys[1], shards.keys[3]]
    assert (record.num_samples, record.num_available) == (2, 2)
    nothing = task.model_copy(update={"keys": "x*"})
    with pytest.raises(UserError, match=r"no trajectory of fno_ns_1e-5 has a key like 'x\*'"):
        run_task(floor, nothing, shards, RunSettings())


def test_everything_that_applies_is_measured_and_nothing_else(corpus: Open) -> None:
    floor = open_forecaster("floor:persistence", CPU)
    common = {"l2re", "nrmse", "vrmse", "max_error", "spectral_low", "valid_frames", "valid_time"}
    common |= {"stable_frames", "growth", "crps"}
    own = {
        "fno_ns_1e-5": {"drift_circulation", "evolution_residual"},
        "pdebench_cns_m0.1": {"drift_mass", "drift_momentum", "drift_energy"},
        "cfdbench": {"divergence", "boundary_error"},
    }
    for name, expected in own.items():
        update = {"metrics": tuple(METRICS), "frames": (1, 7)}
        record, samples = run_task(
            floor, _task(name).model_copy(update=update), corpus(name), RunSettings()
        )
        assert set(record.scores) == common | expected | {"l2re_frame_1", "l2re_frame_7"}
        assert set(samples.values) == set(record.scores)
        assert record.scores["l2re_frame_7"].value == pytest.approx(record.error_per_frame[6])


def test_a_growing_field_drifts_as_its_closed_form(corpus: Open) -> None:
    # Frame t is (1 + 0.05 t) times a fixed field: persistence lacks the growth of its mean.
    update = {"metrics": ("l2re", "drift_mass"), "conserved": {"mass": ("density",)}}
    task = _task("pdebench_cns_m0.1").model_copy(update=update)
    shards = corpus("pdebench_cns_m0.1")
    record, _ = run_task(
        open_forecaster("floor:persistence", CPU), task, shards, RunSettings(limit=1)
    )
    first = torch.from_numpy(shards.window(0, 0, 1).copy())[0, 2].double()
    true = 1 + 0.05 * torch.arange(10, 21).double()
    rms = (first.square().mean() * true.square().mean()).sqrt()
    assert record.scores["drift_mass"].value == pytest.approx(
        float((true[-1] - 1.45) * first.mean() / rms), rel=1e-5
    )


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"kind": "routing"}, "of kind routing, which this verb does not judge"),
        ({"conserved": {"mass": ("densty",)}}, "conserved mass: unknown name 'densty'"),
        ({"solenoidal": ("u", "w")}, "solenoidal: unknown channel 'w'"),
        (
            {"metrics": ("drift_energy",), "headline": "drift_energy"},
            "its headline drift_energy does not apply to corpus cfdbench on 8 x 8 points",
        ),
    ],
)
def test_terms_that_do_not_fit_the_corpus_are_refused(
    corpus: Open, update: dict[str, object], message: str
) -> None:
    task = _task("cfdbench").model_copy(update=update)
    with pytest.raises(UserError, match=message):
        run_task(open_forecaster("floor:persistence", CPU), task, corpus("cfdbench"), RunSettings())


def test_pictures_hold_truth_and_forecast_of_the_first_sample(corpus: Open) -> None:
    shards = corpus("cfdbench")
    _, samples = run_task(
        open_forecaster("floor:persistence", CPU), _task("cfdbench"), shards, RunSettings()
    )
    picture = samples.picture
    assert picture is not None
    assert picture.frames.tolist() == [1, 4, 7, 10]
    truth = torch.from_numpy(shards.window(0, 10, 10)[[0, 3, 6, 9]].copy())
    torch.testing.assert_close(torch.from_numpy(picture.truth), truth)
    assert (picture.prediction == picture.prediction[:1]).all()
    assert picture.fluid.sum() == 64 - 4


def test_an_unknown_floor_gets_the_nearest_known_one() -> None:
    with pytest.raises(UserError, match="did you mean 'persistence'"):
        open_forecaster("floor:persistance", CPU)
    with pytest.raises(UserError, match="the floor is called floor:persistence"):
        open_forecaster("persistence", CPU)


def test_a_line_is_judged_on_a_plane_of_no_more_rows_than_models_take(tmp_path: Path) -> None:
    """A corpus of one dimension: 512 cells that all rows of the plane repeat."""
    card = load_card("pdebench_diff_sorp")
    wave = np.sin(np.linspace(0, 2 * np.pi, 512, dtype=np.float32))
    growth = 1 + 0.05 * np.arange(card.frames, dtype=np.float32)
    fields = np.ascontiguousarray(growth[:, None, None, None] * (2 + wave))
    line = Trajectory(fields, card.name, 0, 0, 5.0, (0.0, 1.0, 0.0, 1.0), dict(card.boundary or {}))
    write_corpus(
        lambda first: [line][first:],
        card,
        split="test",
        out=tmp_path,
        count=1,
        provenance=Provenance(producer="closed form", version=1, seed=0),
    )
    task = load_tasks()["long_pdebench_diff_sorp"].model_copy(update={"rollout_frames": 4})
    task = task.model_copy(update={"frames": ()})
    shards = ShardedCorpus.open(tmp_path, card.name, "test")
    record, _ = run_task(open_forecaster("floor:persistence", CPU), task, shards, RunSettings())
    assert record.provenance.resolution == 128
    true = 1 + 0.05 * torch.arange(10, 14)
    expected = torch.linalg.vector_norm(true - 1.45) / torch.linalg.vector_norm(true)
    assert record.headline.value == pytest.approx(expected.item(), rel=1e-5)
    assert "boundary_error" in record.scores


def test_a_forecast_runs_free_beyond_the_end_of_the_truth(corpus: Open, tmp_path: Path) -> None:
    """A tenth more in every frame, from 1.45 where the truth ends at 1.5 (frame t: 1 + t / 20)."""
    facts = open_forecaster("floor:persistence", CPU).facts

    def runaway(batch: Batch, steps: int) -> Tensor:
        factors = 1.1 ** torch.arange(1, steps + 1).reshape(1, -1, 1, 1, 1)
        return batch.given[:, -1:] * factors

    update = {
        "rollout_frames": 1,
        "free_frames": 20,
        "metrics": ("l2re", "stable_frames", "growth"),
        "headline": "stable_frames",
        "higher_is_better": True,
    }
    task = _task("fno_ns_1e-5").model_copy(update=update)
    shards, kept = corpus("fno_ns_1e-5"), tmp_path / "p.npz"
    settings = RunSettings(predictions="float32")
    record, samples = run_task(Forecaster(facts, runaway), task, shards, settings, predictions=kept)
    scores = {name: score.value for name, score in record.scores.items()}
    assert scores["l2re"] == pytest.approx(1.45 * 1.1 / 1.5 - 1, rel=1e-5)
    assert scores["growth"] == pytest.approx(1.45 * 1.1**21 / 1.5, rel=1e-5)
    assert scores["stable_frames"] == 11  # 1.45 / 1.5 * 1.1^t exceeds 3 from t = 12 on
    assert len(record.error_per_frame) == 1
    with PredictionReader(kept) as predictions:
        assert predictions.read(samples.keys[0]).shape[0] == 21
