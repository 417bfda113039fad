"""A checkout works as it is: the console starts, and `make` installs what the metadata allow."""

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import launchers.cli

ROOT = Path(__file__).parents[2]


def test_the_console_starts_from_a_checkout_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(launchers.cli, "version", none)
    with pytest.raises(SystemExit, match="0"):
        launchers.cli.main(["--version"])
    assert "not installed" in capsys.readouterr().out


def test_the_versions_that_make_installs_are_exact_and_those_that_the_metadata_allow() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {
        pin.name.lower().replace("_", "-"): pin
        for pin in (Requirement(line) for line in lines if not line.startswith("#"))
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    for each in wanted:
        (exact,) = pins[each.name.lower().replace("_", "-")].specifier
        assert exact.operator == "=="
        assert each.specifier.contains(exact.version), each
