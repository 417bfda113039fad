"""A small checkpoint, built once per session."""

from pathlib import Path

import pytest
from handmade_routes import MIXTURE

from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config


@pytest.fixture(scope="session")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained mixture of four experts in two blocks."""
    folder = tmp_path_factory.mktemp("routed") / "seedling"
    config = read_model_config(MIXTURE, "test")
    Surrogate(build_model(config, seed=0), config, {}).save_pretrained(folder)
    return folder
