"""Checkpoints that come with the package: a name in, their folder out.

Each is a checkpoint folder below `foundation/bundled`, with its card, the routing fingerprints of
its corpora, and in `records/` the results that the card tells of.
"""

from importlib.resources import files
from pathlib import Path

PLACE = Path(str(files("foundation"))) / "bundled"


def bundled() -> dict[str, Path]:
    """Folder of every checkpoint of the package, by its name."""
    found = sorted(PLACE.glob("*/config.json"))
    return {config.parent.name: config.parent for config in found}
