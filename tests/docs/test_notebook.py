"""The notebook: committed without outputs, run from top to bottom by `make docs`."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "forecast.ipynb"
EXECUTED = ROOT / "build" / "forecast.ipynb"


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_notebook_is_committed_without_outputs():
    cells = code_cells(SOURCE)
    assert len(cells) >= 7
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.docs
def test_executed_notebook_is_this_one_and_ran_in_order_without_an_error():
    cells = code_cells(EXECUTED)
    assert [c["source"] for c in cells] == [c["source"] for c in code_cells(SOURCE)]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert "error" not in kinds
    pictures = [o for c in cells for o in c["outputs"] if "image/png" in o.get("data", {})]
    assert len(pictures) == 2
