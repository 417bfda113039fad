"""What a stranger needs to adopt the project: it agrees with itself, and the wheel is whole."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert all(citation[key] for key in ("message", "title", "authors"))


def test_the_changes_end_with_this_version():
    versions = re.findall(
        r"^## (\d+\.\d+\.\d+|Unreleased)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert PROJECT["version"] in versions[:2]


@pytest.mark.parametrize("form", [form for form in FORMS if form.stem != "config"], ids=str)
def test_an_issue_form_has_what_the_page_of_forms_asks(form):
    values = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= set(values)
    fields = [field for field in values["body"] if field["type"] != "markdown"]
    assert all({"id", "type", "attributes"} <= set(field) for field in fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)


def test_the_image_runs_a_script_that_is_there_and_installs_what_make_installs():
    lines = (ROOT / "Dockerfile").read_text()
    (script,) = re.findall(r'CMD \["bash", "/moe-pot/(\S+)"', lines)
    assert (ROOT / script).is_file()
    make = (ROOT / "Makefile").read_text()
    for text in (lines, make):
        assert "--constraint constraints.txt --editable" in text


@pytest.mark.slow  # builds a wheel
def test_a_wheel_forecasts_where_nothing_of_the_checkout_is(tmp_path):
    """With the package's checkpoint, in an environment that has the dependencies alone."""
    copy = tmp_path / "copy"  # a build leaves files where it is made
    left_out = shutil.ignore_patterns(".*", "build", "dist", "studies", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=left_out)
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*words, "-q", "-w", str(tmp_path), str(copy)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    kinds = (".py", ".yaml", ".html", ".json", ".safetensors")
    for package in ("foundation", "evaluation", "data_shards", "launchers", "ds_configs"):
        found = (path for path in (ROOT / package).rglob("*") if path.suffix in kinds)
        names = {path.relative_to(ROOT).as_posix() for path in found}
        assert not {name for name in names if "/studies/" not in name} - packed
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    place = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    # A line of a path file brings no path files of that folder, so not the checkout's.
    Path(place, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    np.save(tmp_path / "flow.npy", np.random.default_rng(0).standard_normal((12, 32, 32)))
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(
        [python, "-c", "import foundation; print(foundation.__file__)"],
        cwd=tmp_path,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.startswith(str(environment))
    run = [python, "-m", "launchers.cli", "predict", "moe-fno-nano", "flow.npy", "--steps", "3"]
    subprocess.run([*run, "--output", "forecast.npy"], cwd=tmp_path, env=clean, check=True)
    assert np.isfinite(np.load(tmp_path / "forecast.npy")).all()
