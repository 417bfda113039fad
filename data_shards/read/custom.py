"""Reader of a user's own simulations: any files that `foundation predict` takes, one card drafted.

In: files of one simulation each, or of several runs, in groups, arrays or along an axis; or a
folder of them.
Out: fields (T, C, y, x), of a line one row. What is assumed about the files is said; the options
of the card correct it, as `axes=t,y,x`, `channels=u,v`, `mask=1-solid`, `boundary=periodic`. Runs
of several lengths are cut to the shortest. A run is read as a whole: own files are few.

Units, equation and licence are not in such files; they stay "unknown" until a person
fills them in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from data_shards.card import Channel, CorpusCard, PublishedFiles, Side, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.read.raw import Raw, published
from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.simulation_file.arrays import SUFFIXES
from data_shards.simulation_file.simulation import Boundary
from data_shards.simulation_file.time_units import seconds_of
from data_shards.trajectory import Trajectory

UNKNOWN = "unknown"
_CONTEXT_FRAMES = 10
_NAMES = "(axes|channels|mask|boundary)"
_SIDES = {"left": "x", "right": "x", "bottom": "y", "top": "y"}


class CustomOptions(Config):
    """Reader's options on the card: what the owner of the files says of them."""

    axes: str | None = None
    channels: tuple[str, ...] | None = None
    mask: str | None = None
    boundary: Boundary | None = None

    @field_validator("channels", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())

    def reading(self, sample: int | None) -> Reading:
        """Of one run of a file."""
        return Reading(self.axes, self.channels, self.mask, sample, self.boundary)


@dataclass(frozen=True)
class _Run:
    """Where a trajectory lies; no sample where its file has no axis of them."""

    path: Path
    sample: int | None


class CustomCorpus:
    """One split; see `RawCorpus`."""

    def __init__(self, card: CorpusCard, split: Split, raw: Raw) -> None:
        """Find the files; see `open_corpus`."""
        self._card = card
        self._options = CustomOptions.read(
            published(card).options, f"card {card.name}, published.options"
        )
        self.sources = own_files(raw)
        self.split_known = split == "train"
        first = _simulation(self.sources[0], self._options.reading(None))
        self.notes = (
            f"assumed of {self.sources[0].name}, and likewise of all",
            *(note for note in first.assumed if not note.startswith("run 0 of")),
        )
        self._runs = [
            run for path in self.sources for run in _runs_of(path, self._options, self.sources[0])
        ]

    def __len__(self) -> int:
        return len(self._runs)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory, in the order of the files."""
        card, run = self._card, self._runs[number]
        simulation = _simulation(run.path, self._options.reading(run.sample))
        _refuse_other(simulation, card, run.path)
        mask = simulation.mask
        return Trajectory(
            fields=np.ascontiguousarray(simulation.fields[: card.frames]),
            corpus=card.name,
            index=number,
            seed=-1,
            dt_s=_step_s(simulation),
            extent=simulation.extent,
            boundary={side: str(kind) for side, kind in _sides(simulation).items()},
            mask=mask if card.mask_as_channel else None,
        )

    def close(self) -> None:
        """Nothing stays open."""


def open_corpus(card: CorpusCard, split: Split, raw: Raw) -> CustomCorpus:
    """Open own files.

    Args:
        card: drafted from the files, or the user's own.
        split: which one the files are; they do not say.
        raw: a file, several, or a folder of them.

    Raises:
        UserError: a file is missing, damaged, or cannot be understood without options.
    """
    return CustomCorpus(card, split, raw)


def draft_card(raw: Raw, name: str, options: dict[str, Any] | None = None) -> CorpusCard:
    """A card for own files: what they tell, the rest "unknown".

    Args:
        raw: a file, several, or a folder of them.
        name: of the corpus.
        options: of the reader.

    Raises:
        UserError: a file cannot be read, or they do not belong together.
    """
    told = CustomOptions.read(options or {}, "options")
    files = own_files(raw)
    simulations = [_simulation(path, told.reading(None)) for path in files]
    first = simulations[0]
    for other in simulations[1:]:
        if (other.grid, other.channels) != (first.grid, first.channels):
            raise UserError(
                f"{other.source}: {_shown(other)}; {first.source}: {_shown(first)}: not one "
                "corpus; convert them apart, under two names"
            )
    frames = min(len(simulation.fields) for simulation in simulations)
    if frames < 2:
        raise UserError(f"{files[0]}: trajectories of {frames} frames, wanted 2 or more")
    context = min(_CONTEXT_FRAMES, frames - 1)
    return CorpusCard(
        name=name,
        title=name,
        version=1,
        pde=UNKNOWN,
        equation=UNKNOWN,
        channels=tuple(Channel(name=channel, unit=UNKNOWN) for channel in first.channels),
        mask_as_channel=any(simulation.mask is not None for simulation in simulations),
        frames=frames,
        dt_s=_common([_step_s(simulation) for simulation in simulations]),
        native_grid=first.grid,
        boundary=_sides(first),
        extent=_common([simulation.extent for simulation in simulations]),
        parameters={},
        context_frames=context,
        rollout_frames=frames - context,
        splits={"train": sum(simulation.samples for simulation in simulations)},
        published=PublishedFiles(reader="custom", options=options or {}),
        source="own simulations",
        license=UNKNOWN,
        citation=UNKNOWN,
    )


def own_files(raw: Raw) -> tuple[Path, ...]:
    """Files in the order given; of a folder those of known formats, by name.

    Raises:
        UserError: one is missing, or the folder has none.
    """
    if isinstance(raw, Path) and raw.is_dir():
        endings = {ending for known in SUFFIXES.values() for ending in known}
        found = sorted(p for p in raw.iterdir() if p.is_file() and p.suffix.lower() in endings)
        if not found:
            raise UserError(f"{raw}: holds no {', '.join(sorted(endings))} file")
        return tuple(found)
    files = (raw,) if isinstance(raw, Path) else tuple(raw)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file; give files, or one folder of them")
    if len({path.name for path in files}) < len(files):
        raise UserError(f"{files[0].name}: two files of one name; rename one")
    return files


def _simulation(path: Path, reading: Reading) -> Simulation:
    """One run; an array without a name has channels that are called alike in every file."""
    try:
        simulation = read_simulation(path, reading)
    except UserError as error:
        raise UserError(_in_options(str(error))) from None
    names = simulation.channels
    if simulation.layout.format == "npy" and not reading.channels:
        names = tuple(name.replace(path.stem, "u", 1) for name in names)
    assumed = tuple(_in_options(line) for line in simulation.assumed)
    return replace(simulation, channels=names, assumed=assumed)


def _in_options(text: str) -> str:
    """Words on the options of `foundation predict`, as those of a reader."""
    said = re.sub(rf"--{_NAMES} (?=\w)(?!names )", r"--option \1=", text)
    return re.sub(rf"--{_NAMES}\b", r"--option \1=...", said)


def _runs_of(path: Path, options: CustomOptions, first: Path) -> Sequence[_Run]:
    samples = _simulation(path, options.reading(None)).samples
    if samples == 1:
        return [_Run(path, None)]
    return [_Run(path, sample) for sample in range(samples)]


def _refuse_other(simulation: Simulation, card: CorpusCard, path: Path) -> None:
    wanted = (len(card.channels), *card.native_grid)
    if simulation.fields.shape[1:] != wanted or len(simulation.fields) < card.frames:
        raise UserError(
            f"{path}: {_shown(simulation)}; its card says {card.frames} frames of {wanted[1]} x "
            f"{wanted[2]}, {', '.join(card.channel_names)}: not one corpus"
        )
    if simulation.mask is not None and not card.mask_as_channel:
        raise UserError(
            f"{path}: has a mask, its card says mask_as_channel: false; convert it apart"
        )


def _shown(simulation: Simulation) -> str:
    rows, columns = simulation.grid
    return (
        f"{len(simulation.fields)} frames of {rows} x {columns}, {', '.join(simulation.channels)}"
    )


def _step_s(simulation: Simulation) -> float:
    """Mean time between frames in seconds, or in a unit that the file does not tell; 1 where it
    counts frames only."""
    times = simulation.times.values
    mean = float(times[-1] - times[0]) / max(len(times) - 1, 1)
    return mean * (seconds_of(simulation.times.attributes.get("units", "")) or 1.0)


def _sides(simulation: Simulation) -> dict[str, Side]:
    across = dict(zip("yx", simulation.periodic, strict=True))
    other: dict[str, Side] = {"y": "uniform" if simulation.grid[0] == 1 else "open", "x": "open"}
    return {
        side: "periodic" if across[axis] and other[axis] == "open" else other[axis]
        for side, axis in _SIDES.items()
    }


def _common(values: Sequence[Any]) -> Any:
    """What all files agree on, to single precision; None where they differ."""
    same = all(np.allclose(value, values[0], rtol=1e-5) for value in values[1:])
    return values[0] if same else None
