"""The sweep: nested and equal runs, kept while nothing that decides them changed."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from architectures import SIZES
from runs import write_checkpoint
from travelling_waves import wave, wave_card
from written import write_closed_forms

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.experiments.run import training_folder
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import Record, Score
from evaluation.records.samples import SampleValues
from evaluation.tasks.task import load_tasks
from evaluation.transfer.curve import EqualSize, curve_of
from evaluation.transfer.plots import draw_transfer
from evaluation.transfer.record import read_record, summarise
from evaluation.transfer.sweep import (
    Terms,
    TransferRun,
    find_done,
    plan,
    record_path,
    sweep,
    task_for,
)
from evaluation.transfer.table import crossing_text, transfer_table

TASK = task_for(wave_card("toy_wave"), load_tasks(), None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture
def terms(source: Path) -> Terms:
    return Terms(str(source), "finetune", ("steps=5",), (4, 2), (0, 1), None, {}, None)


@pytest.fixture(scope="module")
def measured(waves: Path, source: Path) -> tuple[Record, SampleValues]:
    """What a real judgement of the checkpoint looks like."""
    test = ShardedCorpus.open(waves, "toy_wave", "test")
    forecaster = open_forecaster(str(source), torch.device("cpu"), "toy")
    return run_task(forecaster, TASK, test, RunSettings(pictures=False))


class Bench:
    """A sweep of the toy corpus that trains and judges in no time: error 1 / trajectories."""

    def __init__(self, waves: Path, output: Path, measured: tuple[Record, SampleValues]) -> None:
        self.train = ShardedCorpus.open(waves, "toy_wave", "train")
        self.test = ShardedCorpus.open(waves, "toy_wave", "test")
        self.output, self.measured = output, measured
        self.trained: list[TransferRun] = []

    def plan(self, terms: Terms, task=TASK) -> list[TransferRun]:
        return plan(terms, self.train, self.test, task)

    def fine_tune(self, run: TransferRun, folder: Path) -> Path:
        self.trained.append(run)
        (folder / "checkpoints").mkdir(parents=True)
        about = {
            "about": {"steps": 5, "samples": 80},
            "model": SIZES["moe_pot"] | {"resolution": 16},
        }
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text(json.dumps(about))
        return folder / "model"

    def judge(self, run: TransferRun, model: Path) -> tuple[Record, SampleValues]:
        assert (model / "config.json").exists()
        record, samples = self.measured
        error = (1 if run.source == "scratch" else 0.5) / run.trajectories + 0.01 * run.seed
        scores = {**record.scores, "l2re": Score(value=error, standard_error=None)}
        return record.model_copy(update={"scores": scores}), samples

    def sweep(self, terms: Terms, **options):
        runs = self.plan(terms)
        self.trained.clear()
        found = list(sweep(runs, self.output, self.fine_tune, self.judge, **options))
        assert [run for run, _ in found] == runs
        return {record_path(self.output, run).name: record for run, record in found}


@pytest.fixture
def bench(waves: Path, tmp_path: Path, measured) -> Bench:
    return Bench(waves, tmp_path / "sweep", measured)


def test_both_sources_get_the_same_steps_samples_optimiser_and_order(bench, terms):
    runs = bench.plan(terms)
    assert [(r.trajectories, r.seed, r.source) for r in runs] == [
        (size, seed, source)
        for size in (2, 4)
        for seed in (0, 1)
        for source in ("pretrained", "scratch")
    ]
    for ours, theirs in zip(runs[::2], runs[1::2], strict=True):
        mine, other = ours.tuning.run, theirs.tuning.run
        same = ("steps", "global_batch", "optimiser", "schedule", "clip", "data", "seed")
        assert all(getattr(mine, part) == getattr(other, part) for part in same)
        assert (ours.tuning.router, theirs.tuning.router) == ("frozen", "free")
    assert len({run.identity for run in runs}) == len({run.name for run in runs}) == 8


def test_a_finished_run_is_never_repeated(bench, terms):
    first = bench.sweep(terms)
    assert len(bench.trained) == 8
    assert bench.sweep(terms) == first
    assert bench.trained == []
    wider = replace(terms, sizes=(4, 2, 8), seeds=(0, 1, 2))
    bench.sweep(wider)
    assert len(bench.trained) == 18 - 8


def test_a_sweep_that_was_cut_short_goes_on_with_the_run_it_was_at(bench, terms):
    runs = bench.plan(terms)
    cut = sweep(runs, bench.output, bench.fine_tune, bench.judge)
    assert [next(cut)[0] for _ in range(3)] == runs[:3]
    cut.close()
    bench.sweep(terms)
    assert bench.trained == runs[3:]


def rewritten(folder: Path, split: str, measured) -> Bench:
    """The toy corpus, one of its splits with other trajectories."""
    card = wave_card("toy_wave")
    other = list(card.splits).index(split)

    def flow(card, index, seed):
        return wave(card, index, seed + 70 if seed == other else seed)

    write_closed_forms(folder, card, card.splits, flow)
    return Bench(folder, folder / "sweep", measured)


def test_a_changed_input_is_never_reused(bench, terms, tmp_path):
    before = {run.identity for run in bench.plan(terms)}
    changed = {
        "recipe": replace(terms, recipe="downstream", overrides=()),
        "steps": replace(terms, overrides=("steps=6",)),
        "optimiser": replace(terms, overrides=("steps=5", "optimiser.lr=2e-3")),
        "engine": replace(terms, engine={"bf16": {"enabled": True}}),
        "limit": replace(terms, limit=2),
        "sizes": replace(terms, sizes=(3,)),
        "seeds": replace(terms, seeds=(7,)),
    }
    for what, other in changed.items():
        assert not before & {run.identity for run in bench.plan(other)}, what
    longer = TASK.model_copy(update={"rollout_frames": 3})
    assert not before & {run.identity for run in bench.plan(terms, longer)}
    for split in ("train", "test"):
        other = rewritten(tmp_path / split, split, bench.measured)
        assert not before & {run.identity for run in other.plan(terms)}, split


def test_what_changes_no_weight_changes_no_run(bench, terms):
    harmless = (
        *("data.workers=2", "log_every=1", "checkpoint.every=3", "validation.every=2"),
        "keep_freed_memory=false",
    )
    again = bench.plan(replace(terms, overrides=("steps=5", *harmless)))
    assert [run.identity for run in again] == [run.identity for run in bench.plan(terms)]
    stopping = replace(terms, overrides=("steps=5", "early_stopping.patience=2"))
    rarely = replace(terms, overrides=(*stopping.overrides, "validation.every=2"))
    ours, theirs = ({run.identity for run in bench.plan(each)} for each in (stopping, rarely))
    assert not ours & theirs, "validation decides when to stop"


def test_several_at_a_time_give_the_same_records(bench, terms, tmp_path):
    runs = bench.plan(terms)
    found = list(sweep(runs, tmp_path / "other", bench.fine_tune, bench.judge, jobs=3))
    errors = {record.transfer.identity: record.error for _, record in found}
    assert all(run.identity == record.transfer.identity for run, record in found)
    assert len(found) == len(runs)
    assert errors == {r.transfer.identity: r.error for r in bench.sweep(terms).values()}


def test_a_record_tells_the_validation_error_of_its_weights(bench, terms, monkeypatch):
    train = bench.fine_tune

    def validated(run: TransferRun, folder: Path) -> Path:
        model = train(run, folder)
        rows = [{"kind": "validation", "step": step, "l2re": {"u": 1 / step}} for step in (4, 5)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return model

    one = replace(terms, sizes=(2,), seeds=(0,))
    assert {r.transfer.validation_error for r in bench.sweep(one).values()} == {None}
    monkeypatch.setattr(bench, "fine_tune", validated)
    two = replace(terms, sizes=(2,), seeds=(1,))
    assert {r.transfer.validation_error for r in bench.sweep(two).values()} == {1 / 5}


def test_weights_that_validation_chooses_are_another_run_by_its_data(bench, terms, tmp_path):
    choosing = replace(terms, overrides=("steps=5", "validation.keep_best=true"))
    ours = {run.identity for run in bench.plan(choosing)}
    assert not ours & {run.identity for run in bench.plan(terms)}
    other = rewritten(tmp_path / "validation", "validation", bench.measured)
    assert not ours & {run.identity for run in other.plan(choosing)}
    assert {run.identity for run in other.plan(terms)} == {r.identity for r in bench.plan(terms)}


def test_another_checkpoint_repeats_only_what_started_from_it(bench, terms, tmp_path):
    bench.sweep(terms)
    other = write_checkpoint(tmp_path / "other" / "model", seed=6)
    bench.sweep(replace(terms, checkpoint=str(other)))
    assert {run.source for run in bench.trained} == {"pretrained"}
    assert len(bench.trained) == 4


def test_another_router_repeats_only_runs_from_the_checkpoint(bench, terms):
    before = bench.plan(terms)
    after = bench.plan(replace(terms, router="free"))
    same = [ours.identity == theirs.identity for ours, theirs in zip(before, after, strict=True)]
    assert same == [False, True] * 4


def test_a_record_says_how_its_weights_came_to_be(bench, terms):
    runs = bench.plan(terms)
    records = bench.sweep(terms)
    for run, (name, record) in zip(runs, records.items(), strict=True):
        facts = record.transfer
        assert (facts.source, facts.trajectories, facts.seed) == (
            run.source,
            run.trajectories,
            run.seed,
        )
        assert (facts.recipe, facts.steps, facts.samples) == ("finetune", 5, 80)
        assert facts.router == run.tuning.router
        assert (facts.checkpoint_sha256 is None) == (run.source == "scratch")
        assert read_record(bench.output / "records" / name) == record


def test_weights_are_kept_only_where_asked_and_results_always(bench, terms):
    bench.sweep(terms)
    folder = training_folder(bench.output, bench.trained[0])
    assert sorted(p.name for p in folder.iterdir()) == ["results.json", "results.samples.npz"]
    bench.sweep(replace(terms, seeds=(5,)), keep_models=True)
    folder = training_folder(bench.output, bench.trained[0])
    assert (folder / "model" / "config.json").exists()
    assert not (folder / "checkpoints").exists()


def test_a_summary_tells_the_curves_of_both_sources(bench, terms):
    records = bench.sweep(terms)
    summary = summarise(records)
    assert [p.trajectories for p in summary.curves["scratch"]] == [2, 4]
    assert [p.error for p in summary.curves["scratch"]] == pytest.approx([0.505, 0.255])
    assert [p.error for p in summary.curves["pretrained"]] == pytest.approx([0.255, 0.13])
    assert [p.standard_error for p in summary.curves["scratch"]] == pytest.approx([0.005] * 2)
    assert [gain.equal.trajectories for gain in summary.gains] == pytest.approx([4, 4])
    assert [gain.equal.bound for gain in summary.gains] == ["exact", "at_least"]
    assert type(summary).model_validate_json(summary.model_dump_json()) == summary
    table = transfer_table(summary).splitlines()
    assert len(table) == 4
    assert "±" in table[2]


def test_the_drawing_is_one_of_the_same_bytes(bench, terms):
    summary = summarise(bench.sweep(terms))
    drawing = draw_transfer(summary)
    assert drawing == draw_transfer(summary)
    root = ElementTree.fromstring(drawing)
    assert "toy_wave" in root.attrib["aria-label"]
    text = "".join(root.itertext())
    assert "from scratch" in text
    assert "from the checkpoint" in text


@pytest.mark.parametrize(
    "errors", [(math.inf, math.inf), (math.inf, 0.1), (0.2, 0.19), (2.0, 0.01)]
)
def test_diverged_and_narrow_curves_are_drawn_too(bench, terms, errors):
    summary = summarise(bench.sweep(replace(terms, sizes=(2,), seeds=(0,))))
    curve = curve_of(enumerate(errors, 2))
    drawn = summary.model_copy(update={"curves": {"pretrained": curve, "scratch": curve}})
    assert draw_transfer(drawn).startswith("<svg")
    assert type(drawn).model_validate_json(drawn.model_dump_json()) == drawn


def test_records_of_other_terms_do_not_make_a_curve(bench, terms, tmp_path):
    ours = bench.sweep(replace(terms, sizes=(2,), seeds=(0,)))
    other = write_checkpoint(tmp_path / "other" / "model", seed=6)
    theirs = bench.sweep(replace(terms, sizes=(2,), seeds=(0,), checkpoint=str(other)))
    with pytest.raises(UserError, match="2 checkpoints"):
        summarise(ours | theirs)
    name, record = next(iter(theirs.items()))
    foreign = record.model_copy(
        update={"record": record.record.model_copy(update={"num_samples": 2})}
    )
    with pytest.raises(UserError, match="samples judged are not those"):
        summarise({**theirs, "foreign.json": foreign})
    with pytest.raises(UserError, match="no records"):
        summarise({})
    assert name in ours | theirs


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "foundation-evaluation"}'])
def test_a_damaged_record_is_named_not_repeated_silently(bench, terms, text):
    run = bench.plan(terms)[0]
    path = record_path(bench.output, run)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match=path.name):
        find_done([run], bench.output)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (2, 13)}, "has 12 trajectories"),
        ({"overrides": ("seed=3",)}, "use --seeds and --sizes"),
        ({"overrides": ("data.limit=3",)}, "use --seeds and --sizes"),
        ({"overrides": ("stepps=3",)}, "did you mean 'steps'"),
        ({"recipe": "finetun"}, "unknown recipe"),
        ({"checkpoint": "./nowhere"}, "no such checkpoint"),
    ],
)
def test_a_sweep_that_could_not_work_is_refused_before_it_starts(bench, terms, change, message):
    with pytest.raises(UserError, match=message):
        bench.plan(replace(terms, **change))


def test_frozen_routers_of_a_dense_checkpoint_are_refused(bench, terms, tmp_path):
    dense = write_checkpoint(tmp_path / "fno", "fno")
    with pytest.raises(UserError, match="take router=free"):
        bench.plan(replace(terms, checkpoint=str(dense), router="frozen"))
    assert {r.tuning.router for r in bench.plan(replace(terms, checkpoint=str(dense)))} == {"free"}


def test_the_test_of_a_corpus_is_its_own_task_or_its_cards_window():
    known = load_tasks()
    assert task_for(load_card("pdebench_swe"), known, None).name == "zero_shot_pdebench_swe"
    assert task_for(load_card("fno_ns_1e-4"), known, None).name == "downstream_fno_ns_1e-4"
    assert (TASK.context_frames, TASK.rollout_frames) == (10, 4)
    with pytest.raises(UserError, match="not a forecast of toy_wave"):
        task_for(wave_card("toy_wave"), known, "zero_shot_pdebench_swe")


@pytest.mark.parametrize(
    ("bound", "words"),
    [("exact", "cross at about 16"), ("at_least", "at 16 tr"), ("at_most", "from 16 tr")],
)
def test_the_crossing_is_told_as_the_bound_that_it_is(bound, words):
    point = EqualSize(trajectories=16.2, bound=bound)
    assert words in crossing_text(SimpleNamespace(crossing=point))
    assert crossing_text(SimpleNamespace(crossing=None)) == ""
