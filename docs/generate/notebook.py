"""A notebook as a page: cells in, Markdown and pictures out.

`make docs` runs the notebook first; what it printed and drew stands on the page. A
build without that run shows the cells alone.
"""

import base64
import json
from typing import Any

from generate.sources import ROOT

SOURCE = ROOT / "docs" / "forecast.ipynb"
EXECUTED = ROOT / "build" / "forecast.ipynb"


def pages() -> dict[str, str | bytes]:
    """The page, the notebook to download, and its pictures."""
    cells = json.loads((EXECUTED if EXECUTED.exists() else SOURCE).read_text())["cells"]
    made: dict[str, str | bytes] = {"forecast.ipynb": SOURCE.read_bytes()}
    parts = []
    for number, cell in enumerate(cells):
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            parts += _shown(output, f"forecast-{number}.png", made)
    parts.insert(1, "[Download the notebook](forecast.ipynb){ .md-button }")
    made["forecast.md"] = "\n\n".join(parts) + "\n"
    return made


def _shown(output: dict[str, Any], picture: str, made: dict[str, str | bytes]) -> list[str]:
    data = output.get("data", {})
    if "image/png" in data:
        made[picture] = base64.b64decode(data["image/png"])
        return [f"![{''.join(data.get('text/plain', picture))}]({picture})"]
    text = "".join(output.get("text", data.get("text/plain", "")))
    if output.get("name") == "stderr" or not text.strip():
        return []
    return [f"```{{.text .output}}\n{text.rstrip()}\n```"]
