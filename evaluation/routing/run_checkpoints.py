"""Every checkpoint of a training run, for the emergence of its routing: a run in, models out."""

import tempfile
from pathlib import Path

import torch

from data_shards.errors import UserError
from evaluation.routing.runner import RoutedModel, open_routed
from foundation.checkpoint.saved import tags_of
from foundation.train.export import export_run


def open_run(run: Path, device: torch.device, name: str | None = None) -> list[RoutedModel]:
    """All checkpoints that a run has kept, the oldest first.

    Args:
        run: training folder.
        device: where they are to be looked at.
        name: of the run; its folder's by default.

    Raises:
        UserError: no training folder, a damaged checkpoint, or a model without routers.
    """
    saved = run / "checkpoints"
    tags = tags_of(saved)
    if not tags:
        raise UserError(
            f"{run}: no checkpoints in it; give the --output of a training run, or checkpoint "
            "folders without --all-checkpoints"
        )
    return [_open(run, tag, device, f"{name or run.resolve().name}-{tag}") for tag in tags]


def _open(run: Path, tag: str, device: torch.device, name: str) -> RoutedModel:
    """Weights lie in a checkpoint as the ranks wrote them; a checkpoint folder is made for once."""
    with tempfile.TemporaryDirectory(prefix="foundation-routing-") as folder:
        model = Path(folder) / "model"
        export_run(run, model, checkpoint=tag)
        opened = open_routed(str(model), device, name)
    facts = opened.facts.model_copy(update={"source": str(run / "checkpoints" / tag)})
    return RoutedModel(facts, opened.model)
