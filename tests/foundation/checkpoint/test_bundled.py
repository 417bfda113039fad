"""Checkpoints that come with the package: found by name wherever a checkpoint is wanted, whole."""

import json
import shutil
from pathlib import Path

import pytest
from runs import write_checkpoint

import foundation.checkpoint.bundled as place
from data_shards.errors import UserError
from evaluation.routing.fingerprints import read_fingerprints
from foundation import Surrogate
from foundation.checkpoint.bundled import bundled
from foundation.checkpoint.folder import find_folder, fingerprint_of
from launchers.cli import main

ROOT = Path(__file__).parents[3]
MOST_BYTES = 4 << 20  # of a folder: a package is not where large weights live
OURS = bundled()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """As if the package had one checkpoint."""
    monkeypatch.setattr(place, "PLACE", tmp_path / "bundled")
    return write_checkpoint(tmp_path / "bundled" / "seedling")


def test_a_name_of_the_package_is_taken_for_a_checkpoint(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_folder("seedling") == package
    assert Surrogate.from_pretrained("seedling").fingerprint == fingerprint_of(package)
    own = write_checkpoint(Path("seedling"), seed=6)
    assert find_folder("seedling") == own, "a folder here is what its owner means"
    with pytest.raises(UserError, match=r"seedlin: .*foundation models lists"):
        find_folder("seedlin")


def test_models_lists_the_package_folders_here_and_what_can_be_imported(package, tmp_path, capsys):
    write_checkpoint(tmp_path / "runs" / "tuned" / "model", "dpot")
    write_checkpoint(tmp_path / "runs" / ".hidden" / "model")
    torn = write_checkpoint(tmp_path / "runs" / "torn")
    (torn / "config.json").write_text("{")
    assert main(["models", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["checkpoint"] for each in told["package"]] == ["seedling"]
    here = {each["checkpoint"]: each for each in told["here"]}
    assert set(here) == {str(tmp_path / "runs" / "tuned" / "model"), str(torn)}
    assert here[str(torn)]["fault"]
    assert {each["name"] for each in told["published"]} >= {"MoE-POT tiny", "DPOT H"}
    assert main(["models", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for words in ("seedling", "dpot", "not readable", "import-reference", "489.6 M"):
        assert words in shown
    assert main(["models", str(tmp_path / "nowhere")]) == 2


def test_a_wheel_holds_checkpoints_with_their_cards_and_records(tmp_path, monkeypatch):
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).touch()
    folder = write_checkpoint(tmp_path / "foundation" / "bundled" / "seedling")
    (tmp_path / "foundation" / "__init__.py").touch()
    for name in ("records/zero_shot.json", "records/zero_shot.samples.npz", "README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    distribution = pytest.importorskip("setuptools").Distribution({"script_name": "setup.py"})
    distribution.parse_config_files(["pyproject.toml"])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    held = {Path(out).name for out in build.get_outputs() if "seedling" in out}
    assert held == {
        *("config.json", "model.safetensors", "SHA256SUMS", "README.md", "zero_shot.json")
    }


@pytest.mark.parametrize("name", OURS or [pytest.param("", marks=pytest.mark.skip("none yet"))])
def test_what_ships_is_small_whole_and_told_by_its_own_records(name):
    folder = OURS[name]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    model = Surrogate.from_pretrained(name)
    corpora = set(read_fingerprints(folder, model.fingerprint).names)
    assert corpora == set(model.about["corpora"])
    card = (folder / "README.md").read_text()
    assert "launchers/pretrain.py" in card
    results = [json.loads(path.read_text()) for path in (folder / "records").glob("*.json")]
    judged = [record for each in results for record in each["records"]]
    own = {r["task"]["corpus"] for r in judged if r["model"]["fingerprint"] == model.fingerprint}
    assert own >= corpora
    assert all(f"`{corpus}`" in card for corpus in corpora)
