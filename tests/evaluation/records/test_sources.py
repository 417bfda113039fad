"""Records name their sources without a machine's own folders."""

import re
from pathlib import Path

import pytest

from evaluation.harness.forecaster import told_source

STUDIES = Path(__file__).resolve().parents[3] / "evaluation" / "studies"


def test_no_recorded_file_holds_a_path_from_the_root():
    at_fault = [
        path.name
        for path in STUDIES.rglob("*.json")
        if re.search(r'"(/[A-Za-z]+/|[A-Z]:\\\\)', path.read_text())
    ]
    assert at_fault == []


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("runs/tiny/model", "runs/tiny/model"),
        ("owner/name", "owner/name"),
        ("/scratch/me/runs/nano-seed0/model", "nano-seed0/model"),
    ],
)
def test_a_path_from_the_root_is_told_by_its_last_parts(target, told):
    assert told_source(target) == told


def test_a_path_inside_of_the_working_folder_is_told_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told_source(str(tmp_path / "runs" / "model")) == "runs/model"
