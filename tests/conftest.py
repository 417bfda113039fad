"""Fixtures shared by all tests: seeded generators and one thread for torch."""

import os
from pathlib import Path

# Before torch reads it, and for all processes that tests start: workers of the suite share the
# cores, and threads that wait for each other's turn there take ten times as long.
os.environ["OMP_NUM_THREADS"] = "1"
# They import the same modules over and over.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
import torch
from travelling_waves import write_waves

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(tryfirst=True)  # before the workers look
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests share a worker: those of a file, and all that start ranks, for the cores."""
    for item in items:
        group = "ranks" if item.get_closest_marker("dist") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of travelling waves; read-only by agreement."""
    return write_waves(tmp_path_factory.mktemp("waves"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of tensors computed with the published implementations."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip(f"no reference tensors at {folder}")
    return folder
