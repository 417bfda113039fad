"""A run that an older version stopped goes on under this one, whatever keys came since.

`golden/run_of_yesterday` was stopped at step 4 of 8 on the toy wave; it is never written anew.
"""

import shutil
from pathlib import Path

import pytest
import yaml
from group import on_ranks
from runs import curve, pretrain, rows
from safetensors.torch import load_file
from torch.testing import assert_close

from data_shards.shards.corpus import ShardedCorpus
from foundation.train.export import export_run

pytestmark = pytest.mark.dist

YESTERDAY = Path(__file__).parents[1] / "golden" / "run_of_yesterday"
LATER = ("compile", "keep_freed_memory")  # keys that an even older version did not know


def settings() -> tuple[str, ...]:
    """What it was asked for."""
    return tuple(yaml.safe_load((YESTERDAY / "config.yaml").read_text())["overrides"])


def brought_here(folder: Path, waves: Path) -> Path:
    """The folder without keys that came later, on this machine's shards.

    Sines of another processor may differ in their last bit, and so would the checksum.
    """
    shutil.copytree(YESTERDAY, folder)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["shards_sha256"] = {
        name: ShardedCorpus.open(waves, name, "train").fingerprint
        for name in values["shards_sha256"]
    }
    for key in LATER:
        del values["run"][key]
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder


def test_it_ends_as_a_run_that_was_never_stopped(waves, tmp_path):
    again, whole = brought_here(tmp_path / "again", waves), tmp_path / "whole"
    assert on_ranks(1, pretrain, waves, again, 1, None, (*settings(), "--resume")) == [0]
    assert on_ranks(1, pretrain, waves, whole, 1, None, settings()) == [0]
    assert [row["step"] for row in rows(again)] == list(range(1, 9))
    for ours, theirs in zip(curve(again), curve(whole), strict=True):
        # float32 sums of another machine in another order, through four steps of Adam
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    ours, theirs = (load_file(run / "model" / "model.safetensors") for run in (again, whole))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-4, msg=name)


def test_another_width_is_still_another_run(waves, tmp_path):
    folder = brought_here(tmp_path / "run", waves)
    extra = (*settings(), "model.width=16", "--resume")
    assert on_ranks(1, pretrain, waves, folder, 1, None, extra) == [2]


def test_it_is_exported_with_what_it_says_of_itself(waves, tmp_path):
    folder = brought_here(tmp_path / "run", waves)
    assert export_run(folder, tmp_path / "out").steps == 4
    about = yaml.safe_load((tmp_path / "out" / "config.json").read_text())["about"]
    assert (about["preset"], about["steps"], about["samples"]) == ("debug", 4, 16)
    assert about["launch"]["deepspeed_config"] == "zero1_fp32.json"
