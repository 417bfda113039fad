"""Shards of travelling waves, written once per session."""

from pathlib import Path

import pytest
from travelling_waves import write_waves


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("waves"))
