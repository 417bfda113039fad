"""A disk that cannot take a run is said before anything is computed."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from data_shards.errors import UserError
from foundation.models.registry import outline_model
from foundation.train.config import load_run_config
from foundation.train.room import check_folder, check_room

Usage = namedtuple("Usage", "total used free")
MODEL = load_run_config("debug", []).model
STATE = 12 * sum(p.numel() for p in outline_model(MODEL).parameters())


def free(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, number))


def test_one_checkpoint_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "new"
    free(monkeypatch, STATE)
    check_room(folder, MODEL)
    free(monkeypatch, STATE - 1)
    with pytest.raises(UserError, match=r"runs/new: its disk is too full: \d+ MiB are free") as e:
        check_room(folder, MODEL)
    assert "\n" not in str(e.value)
    assert not folder.parent.exists(), "nothing is made"


def test_what_a_cut_off_save_has_left_counts_as_room(tmp_path, monkeypatch):
    """A disk that one save has filled can be used again by the next."""
    left = tmp_path / "checkpoints" / ".partial-step-00000008"
    left.mkdir(parents=True)
    (left / "half").write_bytes(bytes(1000))
    free(monkeypatch, STATE - 1000)
    check_room(tmp_path, MODEL)
    free(monkeypatch, STATE - 1001)
    with pytest.raises(UserError, match="too full"):
        check_room(tmp_path, MODEL)


def test_a_place_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(UserError, match=f"cannot be written: {tmp_path} is read-only"):
        check_room(tmp_path / "runs" / "new", MODEL)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "new"):
        with pytest.raises(UserError, match=f"{tmp_path}/runs is a file; give --output"):
            check_folder(folder)
