"""The how-tos, typed in by a reader from the first to the last, in small."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from how_to import ORDER, ROOT, Block, blocks, write_files
from local_hub import TOKEN, running_hub
from safetensors.torch import load_file

from data_shards.shards.corpus import ShardedCorpus
from foundation.checkpoint.surrogate import Surrogate
from launchers.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.dist]

# Sizes of a reader with patience -> sizes of a test.
SMALLER = {
    "--profile small": "--profile small --resolution 32 --trajectories 4"
    " --split train validation test",
    "--preset nano": "--preset debug validation.split=test",
    "global_batch=16": "global_batch=8",
    # Of several such options the last one counts.
    "--trajectories 512": "--trajectories 4",
    "--trajectories 64": "--trajectories 9",
    "--resolution 128 --out finer": "--resolution 64 --out finer",
    "--members 8": "--members 2",
    "--split validation test --out": "--split test validation --out",
    "steps=500": "steps=4",
    "validation.every=100": "validation.every=2",
    "steps=2000": "steps=8",
    "steps=2200": "steps=10",
    "steps=2400": "steps=12",
    "steps=2600": "steps=14",
    "--trials 10 ": "--trials 1 ",
    "--preset tokenizer_small": "--preset tokenizer_small steps=4 validation.every=2",
    "--preset shodh_small": "--preset shodh_small steps=4 validation.every=2",
    "--steps 200": "--steps 4",
    "--preset stencil": "--preset stencil steps=40 log_every=10",
    "--steps 400": "--steps 4 validation.every=2",
    "--trajectories 16": "--trajectories 4",
    "--sizes 4,8,16": "--sizes 2,4",
    "MoE-POT: nano, ": "MoE-POT: debug, ",
    "overrides: [steps=400]": "overrides: [steps=4, model.resolution=32]",
    "sizes: [4, 16]": "sizes: [2, 4]",
    "overrides: [steps=200, ": "overrides: [steps=2, ",
    "--max-shard-size 1MB": "--max-shard-size 100KB",
    "deepspeed --num_accelerators": "deepspeed --master_port 29643 --num_accelerators",
}


def smaller(text: str) -> str:
    for size, small in SMALLER.items():
        text = text.replace(size, small)
    return text


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has before the first page: a clone, files of others and of their own."""
    desk = tmp_path_factory.mktemp("desk")
    for name in ("launchers", "ds_configs"):
        (desk / name).symlink_to(ROOT / name)
    write_files("task", desk)
    write_files("study", desk)
    write_files("foreign-models", desk)
    (desk / "mine.yaml").write_text(smaller((desk / "mine.yaml").read_text()))
    return desk


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody changes: a copy of the tree, as far as the page touches it."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("foundation", "tests"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data_shards", "evaluation", "launchers", "ds_configs", "pyproject.toml"):
        (clone / name).symlink_to(ROOT / name)
    return clone


def own_files(desk: Path) -> None:
    """A simulation file, and several runs in one array, from trajectories of a corpus."""
    corpus = ShardedCorpus.open(desk / "shards", "fno_ns_1e-3", "test")
    runs = np.stack([corpus.trajectory(i).fields[:14, 0] for i in range(2)])
    np.save(desk / "runs.npy", runs)
    with h5py.File(desk / "flow.h5", "w") as file:
        file["vorticity"] = runs[0]


def own_runs(desk: Path) -> None:
    """Files of one run each, of which a model has seen none."""
    corpus = ShardedCorpus.open(desk / "shards", "fno_ns_1e-3", "train")
    (desk / "mine").mkdir()
    for run, name in enumerate(("run_0", "run_1", "run_2", "run_3", "new")):
        fields = corpus.trajectory(run % corpus.num_trajectories).fields[:16, 0]
        np.savez(desk / "mine" / f"{name}.npz", w=np.roll(fields, 5 + run, axis=1))


def steady_files(desk: Path) -> None:
    """A steady problem under the names of the model's slots, and one under a name of its own."""
    source = np.random.default_rng(0).standard_normal((48, 48)).astype(np.float32)
    np.savez(desk / "plate.npz", source=source, k11=0.02, k22=0.03, k12=0.0)
    with h5py.File(desk / "heat.h5", "w") as file:
        file["heat"] = source


def published_weights(desk: Path) -> None:
    """A file in the authors' layout, of a network with fresh weights."""
    from foundation.models.registry import build_model
    from foundation.train.config import load_run_config

    faithful = ["model.target=frame", "model.instance_norm=false", "model.router.gate_norm=batch"]
    config = load_run_config("debug", faithful).model
    network = build_model(config, 0)
    network.training_step.fill_(1000)  # at its lowest temperature, which that layout means
    Surrogate(network, config, {}).save_pretrained(desk / "fresh")
    (desk / "downloads").mkdir(exist_ok=True)
    out = desk / "downloads" / "moepot.pth"
    assert main(["export-reference", str(desk / "fresh"), str(out)]) == 0


def environment(root: Path = ROOT, **more: str) -> dict[str, str]:
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
    }
    return os.environ | paths | {"DS_ACCELERATOR": "cpu"} | more


def typed(block: Block, desk: Path, root: Path = ROOT, **more: str) -> None:
    text = smaller(block.text)
    words = ["bash", "-euo", "pipefail", "-c", text]
    if block.language == "python":
        words = [sys.executable, "-c", text]
    done = subprocess.run(
        words, cwd=desk, env=environment(root, **more), capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{block.page}:\n{text}\n{done.stdout}\n{done.stderr}"


def is_of_published_file(block: Block) -> bool:
    """Published raw files are gigabytes; tests of the readers convert small ones."""
    return "--raw downloads" in block.text


def test_every_command_of_every_how_to_does_its_work(desk):
    with running_hub() as hub:
        for block in blocks(page for page in ORDER if page != "add-a-model"):
            if block.where == "cluster" or is_of_published_file(block):
                continue
            if block.page == "forecast" and not (desk / "flow.h5").exists():
                own_files(desk)
            if block.page == "own-files" and not (desk / "mine").exists():
                own_runs(desk)
            if block.page == "steady" and not (desk / "plate.npz").exists():
                steady_files(desk)
            if block.page == "published-weights" and not (desk / "fresh").exists():
                published_weights(desk)
            typed(
                block,
                desk,
                HF_ENDPOINT=hub.endpoint,
                HF_TOKEN=TOKEN,
                HF_HOME=str(desk / "hub"),
                HF_HUB_DISABLE_XET="1",
            )
    assert (desk / "board" / "index.html").is_file()
    with h5py.File(desk / "forecast.h5") as file:
        assert file["vorticity"].shape[0] == 10
        assert np.isfinite(file["vorticity"][:]).all()
    tuned, before = (load_file(desk / run / "model/model.safetensors") for run in RUNS)
    assert any(not torch.equal(tuned[name], before[name]) for name in before)
    assert hub.repositories["owner/moe-pot-nano"].private


RUNS = ("runs/nano-ns1e-4", "runs/nano")


def test_a_model_is_added_by_its_page_alone_trains_is_judged_and_exported(clone):
    edited = {name for name in write_files("add-a-model", clone) if name.startswith("foundation/")}
    assert {name for name in edited if name.endswith(".py")} == {
        "foundation/models/stencil.py",
        "foundation/models/registry.py",
    }
    size = "--resolution 32 --trajectories 4 --split train validation test --out shards"
    data = f"foundation shards generate fno_ns_1e-3 --profile small {size}"
    for block in (Block("corpora", "sh", "", data), *blocks(["add-a-model"])):
        typed(block, clone, clone)
    rows = (clone / "runs" / "stencil" / "metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, rows) if "loss" in row]
    assert losses[-1] < losses[0]
    exported = clone / "checkpoints" / "stencil"
    assert json.loads((exported / "config.json").read_text())["model"]["model_type"] == "stencil"
    assert "zero_shot_fno_ns_1e-3" in (exported / "README.md").read_text()  # its score
