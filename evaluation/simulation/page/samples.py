"""Samples of a folder of shards as simulations: what there is to pick, and one of them.

Axes: T frames, C channels, R rows and columns of the model. A sample is laid on the model's
grid as in training and in the harness (`data_shards.stream.layout`), so that its errors are theirs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import CorpusEntry, read_manifest
from data_shards.simulation_file import Simulation
from data_shards.simulation_file.simulation import Coordinate, FileLayout
from data_shards.stream.layout import check_fits, resize, resize_mask
from data_shards.stream.windows import origin_of
from foundation import Surrogate


@dataclass(frozen=True)
class Shelf:
    """A split of a corpus to pick from.

    Attributes:
        corpus: its name.
        split: of it.
        count: trajectories.
        frames: of each.
        title: of the corpus, in words.
    """

    corpus: str
    split: str
    count: int
    frames: int
    title: str


def shelves(folder: Path, model: Surrogate) -> tuple[tuple[Shelf, ...], tuple[str, ...]]:
    """What a model can be shown of a folder, test splits first, and why not the rest.

    Args:
        folder: of shards.
        model: that is to take them.

    Raises:
        UserError: it is no folder of shards.
    """
    found, left_out = [], []
    for entry in read_manifest(folder).entries:
        try:
            _check(entry, model)
        except UserError as error:
            left_out.append(f"{entry.corpus} {entry.split}: {error}")
            continue
        count = sum(shard.count for shard in entry.shards)
        found.append(Shelf(entry.corpus, entry.split, count, entry.frames, entry.card.title))
    return tuple(sorted(found, key=lambda s: s.split != "test")), tuple(left_out)


def _check(entry: CorpusEntry, model: Surrogate) -> None:
    check_fits(entry.card, model.config.layout)
    if entry.frames < model.config.context_frames:
        raise UserError(f"{entry.frames} frames, the model needs {model.config.context_frames}")


def sample_simulation(corpus: ShardedCorpus, index: int, model: Surrogate) -> Simulation:
    """A trajectory on the model's grid.

    Args:
        corpus: an opened split.
        index: number of the trajectory.
        model: that is to take it.

    Raises:
        UserError: no such trajectory, or the model cannot take it.
    """
    where = f"{corpus.name} {corpus.split}"
    if not 0 <= index < len(corpus):
        raise UserError(f"{where}: sample {index}, it has {len(corpus)}, counted from 0")
    card, meta = corpus.card, corpus.metadata(index)
    grid = model.config.layout.grid
    fields = resize(corpus.window(index, 0, corpus.frames), grid)
    mask = resize_mask(corpus.mask(index), grid).numpy()  # shares, as training shows them
    x_min, x_max, y_min, y_max = meta["extent"][:4]
    attributes = tuple(
        {} if channel.unit == "1" else {"units": channel.unit} for channel in card.channels
    )
    return Simulation(
        fields=fields.numpy(),
        channels=card.channel_names,
        times=Coordinate("t", meta["dt_s"] * np.arange(len(fields))),
        rows=Coordinate("y", _centres(y_min, y_max, len(mask))),
        columns=Coordinate("x", _centres(x_min, x_max, len(mask))),
        boundary="edge",  # not asked for: it lies on the model's grid already
        layout=FileLayout(
            "npz", card.channel_names, "tyx", np.dtype(np.float32), attributes=attributes
        ),
        source=Path(f"{where} sample {index}"),
        mask=None if mask.all() else mask,
        numbers=origin_of(corpus, index).parameters or {},
        measured="tyx",
    )


def parameters_text(corpus: ShardedCorpus, index: int) -> str:
    """The corpus in words, and the parameters of one trajectory."""
    parameters = corpus.metadata(index)["parameters"]
    words = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(parameters.items())
    )
    return f"{corpus.card.title}: {words}" if words else corpus.card.title


def _centres(low: float, high: float, count: int) -> np.ndarray:
    return low + (high - low) * (np.arange(count) + 0.5) / count
