"""A training folder is read as it was meant, whatever keys came since, and compared in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_shards.config import later
from data_shards.errors import UserError
from foundation.train import run_folder
from foundation.train.config import RunConfig, apply_override, load_run_config
from foundation.train.run_folder import (
    Job,
    Launch,
    accepted_shards,
    check_output,
    difference,
    finished_model,
    read_run,
    seconds_of_steps,
    validation_error,
    write_run,
)

YESTERDAY = Path(__file__).parents[2] / "golden" / "run_of_yesterday"
SHARDS = {"toy_wave": "a" * 64}
SETTINGS = ["data.corpora=[toy_wave]", "steps=8"]


def job_of(*overrides: str, **origin: Any) -> Job:
    """What is asked for; its network is never built here."""
    run = load_run_config("debug", [*SETTINGS, *overrides])
    return Job(run, lambda: pytest.fail("built"), origin, fixed=tuple(origin))


def launched(shards: dict[str, str] = SHARDS) -> Launch:
    return Launch("shards", shards, 1, "zero1_fp32.json", 1)


def rewritten(folder: Path, *overrides: str, without: tuple[str, ...] = ()) -> Path:
    """Yesterday's `config.yaml` with some values changed, some keys gone."""
    values = yaml.safe_load((YESTERDAY / "config.yaml").read_text())
    for override in overrides:
        apply_override(values["run"], override)
    for key in without:
        del values["run"][key]
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return folder


def same_as_yesterday() -> Job:
    return Job(read_run(YESTERDAY).run, lambda: pytest.fail("built"), {})


def test_what_is_written_is_read_back(tmp_path):
    job = job_of("seed=3", router="free", source_sha256="f")
    write_run(tmp_path / "run", job, launched())
    saved = read_run(tmp_path / "run")
    assert (saved.run, saved.origin) == (job.run, {"router": "free", "source_sha256": "f"})
    assert saved.launch["shards_sha256"] == SHARDS
    assert saved.about(5, 40) == {
        **job.origin, "corpora": ["toy_wave"], "loss": {}, "steps": 5, "samples": 40, "seed": 3,
    }  # fmt: skip


NEWER = ("compile", "keep_freed_memory", "early_stopping", "recompute")


@pytest.mark.parametrize("missing", [NEWER, *((key,) for key in NEWER)], ids=str)
def test_a_folder_without_a_key_of_today_is_read_and_goes_on(tmp_path, missing):
    folder = rewritten(tmp_path / "run", without=missing)
    assert read_run(folder).run == read_run(YESTERDAY).run
    shards = read_run(folder).launch["shards_sha256"]
    check_output(folder, same_as_yesterday(), shards, resume=True)


class RunOfTomorrow(RunConfig):
    objective: str = later("relative_l2")


def test_a_key_of_tomorrow_stops_no_run_of_today(monkeypatch):
    """As if the key had joined `RunConfig` since the folder was written."""
    values = read_run(YESTERDAY).run.model_dump(mode="json")
    monkeypatch.setattr(run_folder, "RunConfig", RunOfTomorrow)
    for objective, refused in (("relative_l2", False), ("residual", True)):
        run = RunOfTomorrow.read({**values, "objective": objective}, "tomorrow")
        assert bool(difference(read_run(YESTERDAY).run, run)) == refused


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.width=16", "model.width was 16, now 8"),
        ("model.router.unit=token", "model.router.unit was 'token', now 'sample'"),
        ("data.weights=proportional", "data.weights was 'proportional', now 'balanced'"),
        ("seed=4", "seed was 4, now 0"),
        ("global_batch=8", "global_batch was 8, now 4"),
        ("early_stopping={patience: 2}", "early_stopping was {.*}, now None"),
    ],
)
def test_another_value_is_refused_by_its_name(tmp_path, override, message):
    folder = rewritten(tmp_path / "run", override)
    with pytest.raises(UserError, match=f"cannot resume with another configuration: {message}"):
        check_output(folder, same_as_yesterday(), {}, resume=True)


@pytest.mark.parametrize(
    "override",
    [
        *("steps=12", "optimiser.lr=1", "data.workers=2", "log_every=7", "loss.noise=0"),
        *("compile=true", "compile=reduce-overhead"),
    ],
)
def test_what_may_change_on_the_way_does(tmp_path, override):
    folder = rewritten(tmp_path / "run", override)
    shards = read_run(folder).launch["shards_sha256"]
    check_output(folder, same_as_yesterday(), shards, resume=True)


def test_other_shards_and_another_origin_are_refused(tmp_path):
    write_run(tmp_path, job_of(router="free"), launched())
    check_output(tmp_path, job_of(router="free"), SHARDS, resume=True)
    with pytest.raises(UserError, match="router was 'free', now 'frozen'"):
        check_output(tmp_path, job_of(router="frozen"), SHARDS, resume=True)
    with pytest.raises(UserError, match=r"shards_sha256\.toy_wave was 'a+', now 'b+'"):
        check_output(tmp_path, job_of(router="free"), {"toy_wave": "b" * 64}, resume=True)


def test_what_the_manifest_says_of_the_same_bytes_is_compared_where_it_is_known(tmp_path):
    meaning = {"toy_wave": {"frames": 16, "channels": [{"name": "u", "unit": "1"}]}}
    write_run(tmp_path, job_of(), replace(launched(), shards_meaning=meaning))
    check_output(tmp_path, job_of(), SHARDS, resume=True, meaning=meaning)
    other = {"toy_wave": {**meaning["toy_wave"], "frames": 12}}
    for accept in (False, True):
        with pytest.raises(UserError, match=r"shards_meaning\.toy_wave\.frames was 16, now 12"):
            check_output(tmp_path, job_of(), SHARDS, True, accept, other)
    write_run(tmp_path, job_of(), launched())  # as older versions
    check_output(tmp_path, job_of(), SHARDS, resume=True, meaning=other)


def test_mended_shards_are_taken_if_it_is_said_and_each_time_is_written_down(tmp_path):
    mended, again = {"toy_wave": "b" * 64}, {"toy_wave": "c" * 64}
    write_run(tmp_path, job_of(), launched())
    assert "accepted_shards" not in (tmp_path / "config.yaml").read_text()
    assert accepted_shards(tmp_path, SHARDS, 2) == []
    for step, before, now in ((2, SHARDS, mended), (5, mended, again)):
        with pytest.raises(UserError, match="add --accept-shards"):
            check_output(tmp_path, job_of(), now, resume=True)
        check_output(tmp_path, job_of(), now, resume=True, accept_shards=True)
        taken = accepted_shards(tmp_path, now, step)
        assert taken[-1] == {"step": step, "was": before, "now": now}
        write_run(tmp_path, job_of(), replace(launched(now), accepted_shards=taken))
    assert [each["step"] for each in read_run(tmp_path).launch["accepted_shards"]] == [2, 5]
    with pytest.raises(UserError, match="seed was 0, now 1"):
        check_output(tmp_path, job_of("seed=1"), SHARDS, resume=True, accept_shards=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective=residual", r"config\.yaml: unknown key 'objective'"),
        ("loss.residual=1", r"config\.yaml: unknown key 'residual'.*at loss\.residual"),
        ("model.widths=3", r"config\.yaml: model: unknown key 'widths'"),
    ],
)
def test_a_key_that_this_version_does_not_know_is_refused_by_its_name(tmp_path, override, message):
    folder = rewritten(tmp_path / "run", override)
    for ask in (
        lambda: read_run(folder),
        lambda: check_output(folder, same_as_yesterday(), {}, resume=True),
        lambda: finished_model(folder, same_as_yesterday().run, {}),
    ):
        with pytest.raises(UserError, match=message):
            ask()


def test_a_folder_is_used_once_unless_it_is_to_be_resumed(tmp_path):
    job = job_of()
    check_output(tmp_path, job, SHARDS, resume=False)
    with pytest.raises(UserError, match=r"nothing to resume: no config\.yaml"):
        check_output(tmp_path, job, SHARDS, resume=True)
    write_run(tmp_path, job, launched())
    with pytest.raises(UserError, match="holds a run already; go on with --resume"):
        check_output(tmp_path, job, SHARDS, resume=False)
    (tmp_path / "config.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="not a run's configuration"):
        check_output(tmp_path, job, SHARDS, resume=True)


def test_a_finished_run_is_known_by_all_that_decides_it_and_by_its_shards(tmp_path):
    run = job_of().run
    assert finished_model(tmp_path, run, SHARDS) is None
    write_run(tmp_path, job_of(), launched())
    assert finished_model(tmp_path, run, SHARDS) is None, "begun, not finished"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    assert finished_model(tmp_path, run, SHARDS) == tmp_path / "model"
    seldom = job_of("log_every=1", "checkpoint.every=7").run
    assert finished_model(tmp_path, seldom, SHARDS) == tmp_path / "model"
    with pytest.raises(UserError, match=r"holds another run: steps was 8, now 9"):
        finished_model(tmp_path, job_of("steps=9").run, SHARDS)
    with pytest.raises(UserError, match=r"holds another run: shards.toy_wave was"):
        finished_model(tmp_path, run, {"toy_wave": "b" * 64})


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ("log_every=3", True),
        ("data.workers=2", True),
        ("validation.every=3", True),
        ("optimiser.lr=3", False),
        ("steps=9", False),
        ("compile=false", True),
        ("compile=true", False),
        ("compile=reduce-overhead", False),
    ],
)
def test_two_runs_are_one_iff_nothing_differs_and_iff_they_hash_alike(changed, same):
    ours, theirs = job_of().run, job_of(changed).run
    assert (difference(ours, theirs) is None) == same
    assert (ours.deciding_values(hashed=True) == theirs.deciding_values(hashed=True)) == same


def test_the_validation_error_is_the_mean_over_corpora_of_the_step_asked_for(tmp_path):
    assert validation_error(tmp_path, 2) is None
    (tmp_path / "metrics.jsonl").write_text(
        '{"kind": "train", "step": 2, "loss": 9}\n'
        '{"kind": "validation", "step": 2, "l2re": {"a": 0.25, "b": 0.75}}\n'
        '{"kind": "validation", "step": 4, "l2re": {"a": 0.25, "b": null}}\n'
    )
    assert validation_error(tmp_path, 2) == 0.5
    assert validation_error(tmp_path, 4) == float("inf"), "diverged"
    assert validation_error(tmp_path, 3) is None


def test_a_logged_row_stands_for_the_steps_since_the_one_before(tmp_path):
    assert seconds_of_steps(tmp_path) == (0, None)
    (tmp_path / "metrics.jsonl").write_text('{"kind": ')
    with pytest.raises(UserError, match="not readable"):
        seconds_of_steps(tmp_path)
    first = '{"kind": "train", "step": 10, "seconds_per_step": 0.5}\n'
    between = '{"kind": "validation", "step": 10, "l2re": {"a": 0.25}}\n'
    last = (
        '{"kind": "train", "step": 14, "seconds_per_step": 2.0, "processor_seconds_per_step": 1}\n'
    )
    (tmp_path / "metrics.jsonl").write_text(between)
    assert seconds_of_steps(tmp_path) == (0, None)
    (tmp_path / "metrics.jsonl").write_text(first + between + last)
    assert seconds_of_steps(tmp_path) == (14, 10 * 0.5 + 4 * 2.0)
    assert seconds_of_steps(tmp_path, "processor_seconds_per_step") == (14, None)
