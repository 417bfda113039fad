"""A run that stops and goes on equals one that does not, under any layout of ranks."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from group import exit_codes_on_ranks, on_ranks
from runs import curve, pretrain, rows
from safetensors.torch import load_file
from spoilt_shards import with_value

from data_shards.shards.corpus import ShardedCorpus

pytestmark = pytest.mark.dist


@pytest.fixture(scope="module")
def whole(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight steps without a stop, 2 ranks, ep_size 2."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert on_ranks(2, pretrain, waves, output, 2) == [0, 0]
    return output


def stopped_run(waves: Path, output: Path, world: int, ep_size: int) -> Path:
    assert on_ranks(world, pretrain, waves, output, ep_size, 4) == [0] * world
    return output


@pytest.fixture(scope="module")
def stopped(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped at step 4, 2 ranks, ep_size 2."""
    return stopped_run(waves, tmp_path_factory.mktemp("runs") / "stopped", 2, 2)


def test_resume_on_the_same_layout_is_exact_to_the_last_bit(waves, whole, stopped, tmp_path):
    again = shutil.copytree(stopped, tmp_path / "again")
    assert on_ranks(2, pretrain, waves, again, 2, None, ("--resume",)) == [0, 0]
    assert curve(again) == curve(whole)
    assert curve(again, "validation") == curve(whole, "validation")
    ours, theirs = (load_file(run / "model" / "model.safetensors") for run in (again, whole))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


LAYOUTS = [(1, 1), (2, 1), (2, 2), (4, 2)]
CHANGES = [
    pytest.param(before, after, marks=[] if before == (2, 2) else pytest.mark.slow)
    for before in LAYOUTS
    for after in LAYOUTS
    if before != after
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_resume_under_another_layout_follows_the_same_curve(
    waves, whole, stopped, tmp_path, before, after
):
    again = tmp_path / "again"
    if before == (2, 2):
        shutil.copytree(stopped, again)
    else:
        stopped_run(waves, again, *before)
    assert (
        on_ranks(after[0], pretrain, waves, again, after[1], None, ("--resume",))
        == [0] * (after[0])
    )
    for ours, theirs in zip(curve(again), curve(whole), strict=True):
        assert ours["samples"] == theirs["samples"]
        # float32 sums in another order, through eight steps of Adam
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-5)
        assert ours["corpus_loss"] == pytest.approx(theirs["corpus_loss"], rel=1e-4)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)


def die_in_the_second_save(waves: Path, output: Path) -> int:
    """Rank 1 is killed when half of its files of the second checkpoint are written."""
    import os

    import torch.distributed as dist

    real, saves = torch.save, []

    def fragile(*args, **kwargs):
        saves.append(args)
        # A rank of this layout writes 16 experts and one optimiser file per checkpoint.
        if dist.get_rank() == 1 and len(saves) > 17 + 8:
            os._exit(9)
        return real(*args, **kwargs)

    torch.save = fragile
    os._exit(pretrain(waves, output, 2))


def test_a_rank_killed_in_a_save_costs_nothing_that_was_saved_before(waves, whole, tmp_path):
    output = tmp_path / "run"
    codes = exit_codes_on_ranks(2, die_in_the_second_save, waves, output)
    assert codes == [1, 9]
    folder = output / "checkpoints"
    assert [p.name for p in folder.glob("step-*")] == ["step-00000004"]
    assert list(folder.glob(".partial-*")), "the broken save is there, under a name nobody reads"
    assert on_ranks(2, pretrain, waves, output, 2, None, ("--resume",)) == [0, 0]
    assert curve(output) == curve(whole)
    assert not list(folder.glob(".partial-*"))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(waves, whole, tmp_path):
    output = shutil.copytree(whole, tmp_path / "run")
    newest = output / "checkpoints" / "step-00000008"
    victim = newest / "zero_pp_rank_1_mp_rank_00_optim_states.pt"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1 << 5  # one bit of the optimiser's state
    victim.write_bytes(content)
    assert on_ranks(2, resume_with_warnings, waves, output) == [0, 0]
    assert curve(output) == curve(whole)


class Code:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, (os.environ["MADE_BY_CODE"],)


def load_code(folder: Path) -> list[str]:
    """What DeepSpeed's own way of loading says to a file that holds code."""
    from foundation.parallel.state import _no_code_of

    path = folder / "file.pt"
    os.environ["MADE_BY_CODE"] = str(folder / "made")
    torch.save({"module": Code()}, path)
    try:
        with _no_code_of(folder):
            torch.load(path, weights_only=False)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return []


def test_no_code_of_a_checkpoint_is_run(tmp_path):
    ((kind, said),) = on_ranks(1, load_code, tmp_path)
    assert kind == "UserError"
    assert "holds more than DeepSpeed writes, nothing of it was run" in said
    assert "\n" not in said
    assert not (tmp_path / "made").exists()


def resume_with_warnings(waves: Path, output: Path) -> int:
    import warnings

    warnings.filterwarnings("default", message="passed over")
    return pretrain(waves, output, 2, None, ("--resume",))


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_anew(waves, whole, tmp_path):
    output = shutil.copytree(whole, tmp_path / "run")
    for checkpoint in (output / "checkpoints").iterdir():
        next(checkpoint.glob("layer_0_expert_5_*")).unlink()
    assert on_ranks(2, resume_with_warnings, waves, output) == [2, 2]
    assert len(list((output / "checkpoints").iterdir())) == 2, "nothing was removed"


def test_fewer_steps_than_the_run_has_done_are_refused(waves, whole, tmp_path):
    output = shutil.copytree(whole, tmp_path / "run")
    assert on_ranks(2, pretrain, waves, output, 2, None, ("--resume", "steps=6")) == [2, 2]


@pytest.mark.slow
def test_another_optimiser_takes_effect_and_another_loader_does_not_matter(
    waves, whole, stopped, tmp_path
):
    same, other = (shutil.copytree(stopped, tmp_path / name) for name in ("same", "other"))
    extra = ("--resume", "data.workers=1")
    assert on_ranks(2, pretrain, waves, same, 2, None, extra) == [0, 0]
    assert curve(same) == curve(whole)
    extra = ("--resume", "optimiser.weight_decay=0.5")
    assert on_ranks(2, pretrain, waves, other, 2, None, extra) == [0, 0]
    assert curve(other)[-1]["loss"] != curve(whole)[-1]["loss"]


@pytest.mark.slow
def test_statistics_of_the_batch_gate_survive_a_change_of_layout(waves, tmp_path):
    gate = ("model.router.gate_norm=batch",)
    assert on_ranks(2, pretrain, waves, tmp_path / "whole", 2, None, gate) == [0, 0]
    assert on_ranks(2, pretrain, waves, tmp_path / "again", 2, 4, gate) == [0, 0]
    assert on_ranks(1, pretrain, waves, tmp_path / "again", 1, None, (*gate, "--resume")) == [0]
    for ours, theirs in zip(curve(tmp_path / "again"), curve(tmp_path / "whole"), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-5)
    ours, theirs = (
        load_file(tmp_path / run / "model" / "model.safetensors") for run in ("again", "whole")
    )
    running = [name for name in ours if "running" in name]
    assert running
    for name in running:
        # A bias in front of a batch norm has no gradient but round-off, which Adam turns into
        # steps of any size up to the learning rate (here at most 1e-3); the means follow it.
        shift = 2e-4 if name.endswith("running_mean") else 1e-6
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=shift, msg=name)


def test_old_checkpoints_are_removed_but_for_the_newest_few(waves, tmp_path):
    output = tmp_path / "run"
    extra = ("checkpoint.every=2", "checkpoint.keep=1", "steps=4")
    assert on_ranks(1, pretrain, waves, output, 1, None, extra) == [0]
    assert [p.name for p in (output / "checkpoints").iterdir()] == ["step-00000004"]


def test_an_exploding_run_names_step_corpora_and_samples(waves, tmp_path):
    extra = ("optimiser.lr=1e18", "checkpoint.every=8", "schedule.warmup_fraction=0.5")
    ((code, text),) = on_ranks(1, explode, waves, tmp_path / "run", extra)
    assert code == 1
    assert "the loss is not finite" in text
    assert "toy_" in text
    assert "train-0000" in text
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_broken_weights_are_not_saved_and_a_gentler_run_goes_on(waves, tmp_path):
    output = tmp_path / "run"
    extra = ("optimiser.lr=1e18", "checkpoint.every=1", "schedule.warmup_fraction=0.5")
    ((code, text),) = on_ranks(1, explode, waves, output, extra)
    assert code == 1
    assert "Nothing was saved" in text
    gentle = ("--resume", "optimiser.lr=1e-4", "steps=4")
    assert on_ranks(1, pretrain, waves, output, 1, None, gentle) == [0]
    assert rows(output)[-1]["step"] == 4
    assert rows(output)[-1]["loss"] < 10


def test_a_bad_sample_costs_a_sample_and_not_the_run(waves, tmp_path):
    output, where = tmp_path / "run", {"trajectory": 3, "frame": 10, "corpus": "toy_wave"}
    spoilt = with_value(waves, tmp_path / "spoilt", float("nan"), **where)
    only = ("data.corpora=[toy_wave]", "steps=6", "checkpoint.every=1")
    ((code, text),) = on_ranks(1, explode, spoilt, output, only)
    assert code == 1
    assert "the data are at fault, not the model: toy_wave/train-000003@" in text
    assert "holds NaN" in text
    skip = (*only, "--resume", "on_non_finite=skip")
    ((code, text),) = on_ranks(1, explode, spoilt, output, (*skip, "max_skipped=1"))
    assert code == 1
    assert "more than max_skipped=1" in text
    ((code, text),) = on_ranks(1, explode, spoilt, output, skip)
    assert code == 0
    assert "left out, not learnt from: toy_wave/train-000003@" in text
    assert [row["step"] for row in rows(output)] == list(range(1, 7))
    skipped = rows(output, "event")
    assert {row["what"] for row in skipped} == {"skipped_samples"}
    assert [row["value"] for row in skipped][-1] >= 1


def test_a_run_goes_on_with_mended_shards_if_it_is_told_to(waves, tmp_path):
    output, where = tmp_path / "run", {"trajectory": 3, "frame": 10, "corpus": "toy_wave"}
    spoilt = with_value(waves, tmp_path / "spoilt", float("nan"), **where)
    only = ("data.corpora=[toy_wave]", "steps=6", "checkpoint.every=1")
    assert on_ranks(1, pretrain, spoilt, output, 1, None, only) == [1]
    ((code, text),) = on_ranks(1, explode, waves, output, (*only, "--resume"))
    assert code == 2
    assert "add --accept-shards" in text
    told = (*only, "--resume", "--accept_shards")
    assert on_ranks(1, pretrain, waves, output, 1, None, told) == [0]
    (accepted,) = yaml.safe_load((output / "config.yaml").read_text())["accepted_shards"]
    prints = [ShardedCorpus.open(f, "toy_wave", "train").fingerprint for f in (spoilt, waves)]
    assert [accepted[when]["toy_wave"] for when in ("was", "now")] == prints
    assert [row["step"] for row in rows(output)] == list(range(1, 7))


def without_room(waves: Path, output: Path, extra: tuple[str, ...]) -> tuple[int, str]:
    """A run on a disk that takes no file of more than some kilobytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    return explode(waves, output, extra)


def test_a_disk_that_is_full_is_one_line_and_costs_no_checkpoint(waves, tmp_path):
    output, extra = tmp_path / "run", ("checkpoint.every=2", "validation.every=100")
    assert on_ranks(1, pretrain, waves, output, 1, None, (*extra, "steps=2")) == [0]
    ((code, text),) = on_ranks(1, without_room, waves, output, (*extra, "steps=4", "--resume"))
    assert code == 1
    (said,) = [line for line in text.splitlines() if line.startswith("error")]
    assert "the disk is full or gone" in said
    assert "Traceback" not in text
    assert [p.name for p in (output / "checkpoints").glob("step-*")] == ["step-00000002"]
    assert on_ranks(1, pretrain, waves, output, 1, None, (*extra, "steps=4", "--resume")) == [0]
    assert rows(output)[-1]["step"] == 4


def with_a_bad_gradient(waves: Path, output: Path) -> tuple[int, str]:
    """A run in whose third step one gradient is NaN, though the loss is finite."""
    import launchers.training.launch as training

    real, steps = training.build_engine, []

    def spoilt(*args: Any) -> Any:
        engine = real(*args)

        def spoil(gradient: torch.Tensor) -> torch.Tensor:
            steps.append(1)
            return gradient * float("nan") if len(steps) == 3 else gradient

        next(iter(engine.module.parameters())).register_hook(spoil)
        return engine

    training.build_engine = spoilt
    return explode(waves, output, ("steps=5", "checkpoint.every=5"))


def test_an_update_that_deepspeed_leaves_out_is_counted_and_told(waves, tmp_path):
    ((code, text),) = on_ranks(1, with_a_bad_gradient, waves, tmp_path / "run")
    assert code == 0
    assert "step 3: the gradient was not finite: DeepSpeed left the weights as they were" in text
    (event,) = rows(tmp_path / "run", "event")
    assert (event["what"], event["step"], event["value"]) == ("steps_without_update", 3, 1)
    assert [row["step"] for row in rows(tmp_path / "run")] == [1, 2, 3, 4, 5]


def explode(waves: Path, output: Path, extra: tuple[str, ...]) -> tuple[int, str]:
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = pretrain(waves, output, 1, None, extra)
    return code, said.getvalue()
