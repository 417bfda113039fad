"""What trainings logged: python evaluation/studies/curves.py NAME=FOLDER ... > FILE.json.

Of every training folder the losses by step and the errors of its last validation.
"""

import json
import sys
from pathlib import Path
from typing import Any


def curve(folder: Path) -> dict[str, Any]:
    """Steps and losses (L,), and L2RE by corpus at the end."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in rows if row["kind"] == "train"]
    *_, validated = (row for row in rows if row["kind"] == "validation")
    return {
        "steps": [row["step"] for row in trained],
        "losses": [round(row["loss"], 5) for row in trained],
        "validated_at": validated["step"],
        "l2re": {name: round(error, 5) for name, error in validated["l2re"].items()},
    }


if __name__ == "__main__":
    named = (word.split("=", 1) for word in sys.argv[1:])
    print(json.dumps({"runs": {name: curve(Path(folder)) for name, folder in named}}))
