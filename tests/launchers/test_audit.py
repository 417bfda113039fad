"""What the audit of pinned packages tells: a known weakness is a fault, a silent index is none."""

import importlib.machinery
import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit"


@pytest.fixture
def audit() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("audit", str(SCRIPT))
    spec = importlib.util.spec_from_loader("audit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_known_weakness_is_a_line_and_a_fault(audit):
    report = {
        "dependencies": [
            {"name": "numpy", "version": "2.0.0", "vulns": []},
            {
                "name": "pillow",
                "version": "10.0.0",
                "vulns": [
                    {"id": "PYSEC-1", "fix_versions": ["10.0.1", "11.0"], "aliases": []},
                    {"id": "GHSA-2", "fix_versions": [], "aliases": []},
                ],
            },
            {"name": "torch", "skip_reason": "not found"},
        ],
        "fixes": [],
    }
    lines, code = audit.told(report)
    assert code == 1
    assert lines == [
        "audit: pillow 10.0.0: PYSEC-1, mended in 10.0.1, 11.0",
        "audit: pillow 10.0.0: GHSA-2, mended in no version yet",
        "audit: 2 weaknesses known of 2 packages; the index does not know 1 others",
    ]


def test_packages_that_the_index_does_not_know_are_counted_not_passed(audit):
    lines, code = audit.told({"dependencies": [{"name": "torch", "skip_reason": "not found"}]})
    assert (lines, code) == (["audit: left out, the index knows none of 1 packages"], 0)


@pytest.mark.parametrize(
    "fault",
    [
        OSError("no route"),
        subprocess.TimeoutExpired("pip-audit", 180),
        ValueError("no JSON at\nall"),
    ],
)
def test_an_index_out_of_reach_is_said_and_is_no_fault(audit, monkeypatch, capsys, fault):
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(audit, "_run", fail)
    assert audit.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("audit: left out, no index of weaknesses answers (")
