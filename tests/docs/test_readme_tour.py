"""The README: short; its commands parse, its links lead to files, its tour names every room."""

import json
import re
import shlex
from pathlib import Path

import pytest
from how_to import rest_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "docs" / "pages" / "first-results.md"
HOUSE = README.split("## The house\n", 1)[1].split("\n## ", 1)[0]


def commands() -> list[list[str]]:
    """All commands of `foundation` and of the training scripts."""
    lines = README.replace("\\\n", " ").replace(";", "\n").splitlines()
    shown = [line.strip() for line in lines if re.match(r" ?(foundation|deepspeed) ", line)]
    return [shlex.split(line, comments=True) for line in shown]


def test_a_newcomer_reads_it_in_five_minutes():
    assert len(README.splitlines()) <= 170


@pytest.mark.parametrize("command", commands(), ids=lambda words: " ".join(words)[:60])
def test_command_is_taken_by_its_parser(command):
    assert all("=" in word and not word.startswith("-") for word in rest_of(command))


def test_commands_are_found():
    assert len(commands()) > 15


def test_links_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).is_file()]


@pytest.mark.parametrize("package", ["data_shards", "foundation", "evaluation", "launchers"])
def test_every_room_is_in_the_tour(package):
    part = re.split(r"^(\w+)/", HOUSE, flags=re.M)
    told = part[part.index(package) + 1]
    rooms = [path.name for path in (ROOT / package).iterdir() if path.is_dir()]
    missing = [room for room in rooms if room[0] not in "._" and f"{room}/" not in told]
    assert rooms
    assert not missing


def test_the_table_of_the_quickstart_is_that_of_its_records():
    """Rounded as shown; columns in the table's order."""
    corpora = ("cfdbench", "fno_ns_1e-3", "fno_ns_1e-5", "pdebench_cns_m0.1")
    corpora += ("pdebench_dr", "pdebench_swe")
    file = ROOT / "evaluation" / "studies" / "quickstart" / "nano_moe_fno_patched.json"
    errors: dict[tuple[str, str], float] = {
        (r["model"]["name"], r["task"]["corpus"]): r["scores"]["l2re"]["value"]
        for r in json.loads(file.read_text())["records"]
    }
    ours = [errors["nano_moe_fno_patched", c] for c in corpora]
    floors = [min(errors["persistence", c], errors["context_mean", c]) for c in corpora]
    rows = [line.split("|")[2:-1] for line in RESULTS.read_text().splitlines() if "| " in line]
    shown = [[float(cell.strip(" *")) for cell in row] for row in rows[1:4]]
    assert shown[0] == [pytest.approx(v, rel=5e-3) for v in ours]
    assert shown[1] == [pytest.approx(v, rel=5e-3) for v in floors]
    assert shown[2] == [round(f / o, 1) for f, o in zip(floors, ours, strict=True)]
